#include "tests/unit/services/event-broker/domain/catalog_fixture.h"

namespace penstock::broker {
namespace {

using Texts = std::vector<std::string>;

class CatalogHoldsTest : public CatalogTest {
 protected:
  static Subscription Group(std::vector<std::string> functions, const std::string& sink = "") {
    Subscription subscription = Wanted();
    subscription.function.clear();
    subscription.group = SubscriberGroup{{}, std::move(functions)};
    subscription.dead_letter_sink.function = sink;
    return subscription;
  }
  static std::string Acquire(const std::string& function) {
    return "acquire spaces/shop/functions/" + function;
  }
  static std::string Release(const std::string& function) {
    return "release spaces/shop/functions/" + function;
  }
  Texts Held() const {
    Texts held;
    for (const auto& reference : catalog_.References()) {
      held.push_back(reference.function.substr(reference.function.rfind('/') + 1));
    }
    return held;
  }
};

TEST_F(CatalogHoldsTest, EveryFunctionIsHeldOnce) {
  Create({Group({"b", "a"}, "morgue"), false, ""});
  EXPECT_EQ(Held(), (Texts{"a", "b", "morgue"}));  // On their way already.
  steps_.Reply(Acquire("a"));
  steps_.Reply(Acquire("b"));
  steps_.Reply(Acquire("morgue"));
  Reply({"save 1", "append 1", "activate 1"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(Held(), (Texts{"a", "b", "morgue"}));
  EXPECT_EQ(changed_.subscription.function_revision, 3);
  EXPECT_EQ(catalog_.reference_counts().in_flight, 0u);
}

TEST_F(CatalogHoldsTest, AFunctionThatIsMissingIsNamedAndTheOthersAreLetGo) {
  Create({Group({"b", "a"}, "morgue"), false, ""});
  steps_.Reply(Acquire("a"));
  steps_.Reply(Acquire("b"), absl::NotFoundError("no"));
  EXPECT_EQ(answer(), std::nullopt);
  steps_.Reply(Release("a"));
  EXPECT_EQ(field(), "group.functions[0]");
  EXPECT_TRUE(steps_.waiting().empty());
  EXPECT_TRUE(Held().empty());
  Create({Group({"b", "a"}, "morgue"), false, ""});
  steps_.Reply(Acquire("a"));
  steps_.Reply(Acquire("b"));
  steps_.Reply(Acquire("morgue"), absl::NotFoundError("no"));
  steps_.Reply(Release("b"));
  steps_.Reply(Release("a"));
  EXPECT_EQ(field(), "deadLetterSink.function");
}

TEST_F(CatalogHoldsTest, AChangeHoldsAndReleasesTheDifference) {
  Created();
  Edit([](Subscription& edited) {
    edited.function.clear();
    edited.group = SubscriberGroup{{}, {"bill", "ship"}};
    edited.dead_letter_sink.function = "morgue";
  });
  steps_.Reply(Acquire("morgue"));
  steps_.Reply(Acquire("ship"));
  Reply({"update 2", "append 1", "activate 1"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_TRUE(steps_.waiting().empty());
  // It matches as before: no revision of its own, and it applies at once.
  EXPECT_EQ(changed_.subscription.match_revision, 1);
  EXPECT_EQ(delivery_.changes().back().Targets(), (Texts{"bill", "ship"}));
  Edit([](Subscription& edited) {
    edited.group.reset();
    edited.function = "ship";
    edited.dead_letter_sink = {"", "order.failed"};
  });
  Reply({"update 3", "append 1", "activate 1"});
  steps_.Reply(Release("morgue"));
  steps_.Reply(Release("bill"));
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_EQ(Held(), (Texts{"ship"}));
}

TEST_F(CatalogHoldsTest, AChangeThatFailsReleasesWhatItHeldNewly) {
  Created();
  Edit([](Subscription& edited) { edited.dead_letter_sink.function = "morgue"; });
  steps_.Reply(Acquire("morgue"));
  steps_.Reply("update 2", absl::UnavailableError("disk"));
  steps_.Reply(Release("morgue"));
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Held(), (Texts{"bill"}));
}

TEST_F(CatalogHoldsTest, AnAcquisitionInDoubtIsReconciled) {
  Create();
  steps_.Reply("acquire", absl::UnavailableError("away"));
  EXPECT_EQ(answer(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(catalog_.reference_counts().doubts, 1u);
}

TEST_F(CatalogHoldsTest, PullHoldsNothing) {
  Subscription subscription = Wanted();
  subscription.function.clear();
  subscription.pull = PullPolicy();
  Create({subscription, false, ""});
  Reply({"save 1", "append 1", "activate 1"});
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_TRUE(Held().empty());
}

TEST_F(CatalogHoldsTest, ADeletionReleasesAll) {
  Create({Group({"b", "a"}), false, ""});
  Reply({"acquire", "acquire", "save 1", "append 1", "activate 1"});
  Delete();
  Reply({"save 2", "append 2", "activate 2"});
  steps_.Reply(Release("b"));
  EXPECT_EQ(answer(), std::nullopt);
  steps_.Reply(Release("a"));
  EXPECT_EQ(answer(), absl::StatusCode::kOk);
  EXPECT_TRUE(Held().empty());
}

}  // namespace
}  // namespace penstock::broker
