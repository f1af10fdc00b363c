#include "services/function-manager/domain/reference_keeper.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/base/status.h"
#include "tests/unit/services/function-manager/fake_function_store.h"
#include "tests/unit/services/function-manager/sample.h"
#include "tests/unit/services/function-manager/store_waits.h"

namespace penstock::functions {
namespace {

constexpr char kF[] = "spaces/default/functions/f";
constexpr char kS1[] = "spaces/default/subscriptions/s1";
constexpr char kS2[] = "spaces/default/subscriptions/s2";

class ReferenceKeeperTest : public testing::Test {
 protected:
  ReferenceKeeperTest() {
    EXPECT_TRUE(Write(store_, [&](FunctionWriter& writer) { return writer.Put(function_); }).ok());
  }

  absl::StatusOr<Acquired> Acquire(const std::string& function, const std::string& holder) {
    return Await<absl::StatusOr<Acquired>>([&](auto done) {
      keeper_.Acquire({function, holder}, std::move(done));
    });
  }
  absl::Status Release(const std::string& function, const std::string& holder) {
    return Await<absl::Status>([&](auto done) {
      keeper_.Release({function, holder}, std::move(done));
    });
  }
  absl::StatusOr<Reconciled> Reconcile(const std::string& service,
                                       const std::vector<ReferenceInput>& references) {
    return Await<absl::StatusOr<Reconciled>>(
        [&](auto done) { keeper_.Reconcile(service, references, std::move(done)); });
  }
  std::vector<std::string> Holders(const std::string& id) {
    std::vector<std::string> holders;
    EXPECT_TRUE(Read(store_, [&](FunctionReader& reader) -> absl::Status {
                  ASSIGN_OR_RETURN(holders, reader.Holders({"default", id}, 100));
                  return absl::OkStatus();
                }).ok());
    return holders;
  }

  using Names = std::vector<std::string>;
  FakeFunctionStore store_;
  Function function_ = NamedFunction("f");
  SpaceRule spaces_{{}};
  ReferenceKeeper keeper_{store_, spaces_};
};

TEST_F(ReferenceKeeperTest, HoldsUntilReleased) {
  const auto acquired = Acquire(kF, kS1);
  ASSERT_TRUE(acquired.ok()) << acquired.status();
  EXPECT_EQ(acquired->function_uid, function_.uid);
  EXPECT_EQ(acquired->revision, function_.revision);
  EXPECT_TRUE(Acquire(kF, kS1).ok());
  EXPECT_EQ(Holders("f"), (Names{kS1}));
  EXPECT_TRUE(Release(kF, kS1).ok());
  EXPECT_TRUE(Release(kF, kS1).ok());
  EXPECT_TRUE(Holders("f").empty());
}

TEST_F(ReferenceKeeperTest, DoesNotHoldWhatDoesNotExist) {
  EXPECT_EQ(Acquire("spaces/default/functions/none", kS1).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(Holders("none").empty());
}

TEST_F(ReferenceKeeperTest, NamesTheFieldThatIsWrong) {
  const auto field_of = [](const absl::Status& status) {
    const auto violations = FieldViolationsOf(status);
    return violations.empty() ? std::string() : violations[0].field;
  };
  EXPECT_EQ(field_of(Acquire("f", kS1).status()), "function");
  for (const char* holder :
       {"", "s1", "spaces/default", "spaces/default/subscriptions", "spaces/default//s1",
        "spaces/x/subscriptions/s1", "spaces/default/subscriptions/a b"}) {
    EXPECT_EQ(field_of(Acquire(kF, holder).status()), "holder") << holder;
  }
  EXPECT_EQ(field_of(Reconcile("gateway", {}).status()), "service");
  EXPECT_EQ(field_of(Reconcile("event-broker", {{kF, kS1}, {"f", kS1}}).status()),
            "references[1].function");
  EXPECT_EQ(field_of(Reconcile("event-broker", {{kF, "spaces/default/functions/w"}}).status()),
            "references[0].holder");
}

TEST_F(ReferenceKeeperTest, ReconcilesToWhatTheServiceHas) {
  const std::string gone = "spaces/default/functions/gone";
  ASSERT_TRUE(Acquire(kF, kS1).ok());
  ASSERT_TRUE(Acquire(kF, "spaces/default/functions/weighted").ok());
  const auto result = Reconcile("event-broker", {{kF, kS2}, {gone, kS2}, {kF, kS2}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->released_count, 1);
  EXPECT_EQ(result->missing, (std::vector<ReferenceInput>{{gone, kS2}}));
  EXPECT_EQ(result->revision, function_.revision);
  EXPECT_EQ(Holders("f"), (Names{"spaces/default/functions/weighted", kS2}));
  EXPECT_EQ(Holders("gone"), (Names{kS2})) << "one created later is protected";
  EXPECT_EQ(Reconcile("event-broker", {})->released_count, 2);
  EXPECT_EQ(Holders("f"), (Names{"spaces/default/functions/weighted"}));
}

}  // namespace
}  // namespace penstock::functions
