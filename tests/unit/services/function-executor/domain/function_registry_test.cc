#include "services/function-executor/domain/function_registry.h"

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/services/function-executor/fake_timers.h"

namespace penstock::executor {
namespace {

FunctionUpdate Update(const std::string& id, std::int64_t version, const std::string& uid = "u") {
  auto spec = std::make_shared<FunctionSpec>();
  spec->space = "default";
  spec->id = id;
  spec->uid = uid;
  spec->version = version;
  return {"default", id, uid, version, spec};
}

FunctionUpdate Gone(const std::string& id, const std::string& uid = "u") {
  return {"default", id, uid, 0, nullptr};
}

class FunctionRegistryTest : public ::testing::Test {
 protected:
  FakeTimers timers_;
  std::vector<std::pair<std::string, std::int64_t>> forgotten_;
  std::map<std::string, std::vector<std::int64_t>> kept_;  // By uid, as told last.
  FunctionRegistry registry_{timers_,
                             [this](const std::string& uid, std::int64_t version) {
                               forgotten_.emplace_back(uid, version);
                             },
                             [this](const std::string& uid, const auto& reached) {
                               auto& versions = kept_[uid];
                               versions.clear();
                               for (const auto& spec : reached) versions.push_back(spec->version);
                             }};
};

TEST_F(FunctionRegistryTest, IsNotReadyBeforeTheFirstSnapshot) {
  const absl::Status status = registry_.Ready();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("function-manager"), absl::string_view::npos);
  EXPECT_FALSE(registry_.Has(0));
  registry_.ApplySnapshot({}, 0);
  EXPECT_TRUE(registry_.Ready().ok());
  EXPECT_TRUE(registry_.Has(0));
}

// With workers that are kept.
FunctionUpdate Warm(std::int64_t version, bool is_older = false) {
  FunctionUpdate update = Update("f", version);
  auto spec = std::make_shared<FunctionSpec>(*update.spec);
  spec->target = ProcessTarget{.workers_min = 1};
  update.spec = spec;
  update.is_older_version = is_older;
  return update;
}

FunctionUpdate Split(std::vector<WeightedTarget::Share> shares) {
  FunctionUpdate update = Update("split", 1, "s");
  auto spec = std::make_shared<FunctionSpec>(*update.spec);
  spec->target = WeightedTarget{std::move(shares)};
  update.spec = spec;
  return update;
}

TEST_F(FunctionRegistryTest, ASplitGivesWhatItsWeightsChoose) {
  registry_.ApplySnapshot(
      {Update("a", 3, "a"), Update("b", 7, "b"), Split({{"a", 3}, {"c", 0}, {"b", 1}})}, 10);
  std::map<std::string, int> calls;
  for (int i = 0; i < 4000; ++i) {
    const auto resolved = registry_.Resolve({"default", "split", "", ""});
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    ASSERT_NE(resolved->split, nullptr);
    EXPECT_EQ(resolved->split->id, "split");
    EXPECT_EQ(resolved->spec->version, resolved->spec->id == "a" ? 3 : 7);
    ++calls[resolved->spec->id];
  }
  EXPECT_NEAR(calls["b"], 1000, 150);
  EXPECT_EQ(calls.size(), 2U) << "a weight of 0 gets nothing";

  std::map<std::string, std::string> chosen;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "user-" + std::to_string(i);
    chosen[key] = registry_.Resolve({"default", "split", "", key})->spec->id;
    EXPECT_EQ(registry_.Resolve({"default", "split", "", key})->spec->id, chosen[key]);
  }
  // The last one's share grows: who had it keeps it.
  registry_.ApplyChanges({Split({{"a", 1}, {"c", 0}, {"b", 3}})}, 11);
  for (const auto& [key, id] : chosen) {
    if (id != "b") continue;
    EXPECT_EQ(registry_.Resolve({"default", "split", "", key})->spec->id, "b");
  }

  registry_.ApplyChanges({Gone("b", "b"), Split({{"b", 1}})}, 12);
  const absl::Status missing = registry_.Resolve({"default", "split", "", ""}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("functions/b"), absl::string_view::npos);
  registry_.ApplyChanges({Split({{"split", 1}})}, 13);
  EXPECT_EQ(registry_.Resolve({"default", "split", "", ""}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(FunctionRegistryTest, TellsWhichVersionsWithKeptWorkersAreReached) {
  using Versions = std::vector<std::int64_t>;
  registry_.ApplySnapshot({Warm(1), Update("g", 1, "v")}, 10);
  EXPECT_EQ(kept_["u"], Versions{1});
  EXPECT_FALSE(kept_.contains("v"));
  FunctionUpdate split = Warm(2);
  split.kept = {1, 2};
  split.traffic = {{2, 5}, {1, 95}};
  registry_.ApplyChanges({split}, 11);
  EXPECT_EQ(kept_["u"], (Versions{1, 2}));
  split.traffic = {{1, 100}};
  registry_.ApplyChanges({split}, 12);
  EXPECT_EQ(kept_["u"], Versions{1});
  split.traffic = {};
  split.aliases = {{"stable", 1}};
  registry_.ApplyChanges({split}, 13);
  EXPECT_EQ(kept_["u"], (Versions{1, 2}));
  registry_.ApplyChanges({Gone("f")}, 14);
  EXPECT_EQ(kept_["u"], Versions{});
}

TEST_F(FunctionRegistryTest, TellsOfTheVersionsOfASnapshotOnceItsFunctionIsThere) {
  registry_.ApplySnapshot({Warm(1, /*is_older=*/true), Warm(2)}, 10);
  EXPECT_EQ(kept_["u"], std::vector<std::int64_t>{2});
  registry_.ApplySnapshot({}, 11);
  EXPECT_EQ(kept_["u"], std::vector<std::int64_t>{});
}

TEST_F(FunctionRegistryTest, FollowsChanges) {
  registry_.ApplySnapshot({Update("f", 1), Update("g", 1, "v")}, 10);
  EXPECT_EQ(registry_.size(), 2U);
  EXPECT_EQ(registry_.Find("default", "f")->version, 1);
  EXPECT_EQ(registry_.Find("other", "f"), nullptr);

  registry_.ApplyChanges({Update("f", 2), Gone("g", "v"), Update("h", 1, "w")}, 13);
  EXPECT_EQ(registry_.revision(), 13);
  EXPECT_EQ(registry_.size(), 2U);
  EXPECT_EQ(registry_.Find("default", "f")->version, 2);
  EXPECT_EQ(registry_.Find("default", "g"), nullptr);
  EXPECT_NE(registry_.Find("default", "h"), nullptr);
  const std::vector<std::pair<std::string, std::int64_t>> expected = {
      {"u", 2}, {"v", std::numeric_limits<std::int64_t>::max()}};
  EXPECT_EQ(forgotten_, expected);
}

TEST_F(FunctionRegistryTest, ASnapshotForgetsWhatIsNotInIt) {
  registry_.ApplySnapshot({Update("f", 1), Update("g", 1, "v"), Update("h", 1, "w")}, 10);
  registry_.ApplySnapshot({Update("f", 1), Update("h", 1, "recreated")}, 5);
  EXPECT_EQ(registry_.revision(), 5);
  EXPECT_EQ(registry_.size(), 2U);
  EXPECT_EQ(registry_.Find("default", "g"), nullptr);
  EXPECT_EQ(forgotten_.size(), 2U) << "g and the h before";
}

// Version `newest` of `id` with all before it, and a split.
std::vector<FunctionUpdate> WithVersions(const std::string& id, std::int64_t newest,
                                         std::vector<TrafficShare> traffic) {
  std::vector<FunctionUpdate> updates;
  std::vector<std::int64_t> kept;
  for (std::int64_t version = 1; version <= newest; ++version) {
    updates.push_back(Update(id, version));
    updates.back().is_older_version = version != newest;
    kept.push_back(version);
  }
  updates.back().traffic = std::move(traffic);
  updates.back().kept = std::move(kept);
  return updates;
}

class FunctionSplitTest : public FunctionRegistryTest {
 protected:
  std::int64_t VersionFor(std::string_view key = "", std::string_view tag = "") {
    const auto spec = registry_.Resolve({"default", "f", tag, key});
    return spec.ok() ? spec->spec->version : -1;
  }
  // How many of `calls` run `version`.
  int Count(std::int64_t version, int calls) {
    int count = 0;
    for (int i = 0; i < calls; ++i) count += VersionFor() == version ? 1 : 0;
    return count;
  }
};

TEST_F(FunctionSplitTest, ACanaryGetsItsShare) {
  registry_.ApplySnapshot(WithVersions("f", 2, {{1, 95}, {2, 5}}), 10);
  EXPECT_NEAR(Count(2, 10'000), 500, 100);
  registry_.ApplyChanges({WithVersions("f", 2, {{2, 100}}).back()}, 11);
  EXPECT_EQ(Count(2, 10'000), 10'000);
  registry_.ApplyChanges({WithVersions("f", 2, {{1, 100}}).back()}, 12);
  EXPECT_EQ(Count(1, 10'000), 10'000);
}

TEST_F(FunctionSplitTest, AKeyStaysWithItsVersion) {
  registry_.ApplySnapshot(WithVersions("f", 2, {{1, 80}, {2, 20}}), 10);
  std::vector<std::string> canaries;
  for (int i = 0; i < 1'000; ++i) {
    const std::string key = "user-" + std::to_string(i);
    const std::int64_t version = VersionFor(key);
    for (int again = 0; again < 3; ++again) ASSERT_EQ(VersionFor(key), version);
    if (version == 2) canaries.push_back(key);
  }
  EXPECT_NEAR(static_cast<double>(canaries.size()), 200, 60);
  // Who has seen the canary does not go back while its share grows.
  registry_.ApplyChanges({WithVersions("f", 2, {{2, 60}, {1, 40}}).back()}, 11);
  for (const std::string& key : canaries) ASSERT_EQ(VersionFor(key), 2);
}

TEST_F(FunctionSplitTest, TagsNameVersionsAndAliases) {
  auto updates = WithVersions("f", 3, {{3, 100}});
  updates.back().aliases = {{"prod", 2}};
  registry_.ApplySnapshot(updates, 10);
  EXPECT_EQ(VersionFor("", "1"), 1);
  EXPECT_EQ(VersionFor("", "prod"), 2);
  for (const char* tag : {"4", "beta"}) {
    const absl::Status status = registry_.Resolve({"default", "f", tag, ""}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_NE(status.message().find("it has 1 2 3 prod"), absl::string_view::npos) << status;
  }
  // A change of the function leaves the versions that stay, and drops the others.
  FunctionUpdate next = Update("f", 4);
  next.kept = {2, 4};
  next.aliases = {{"prod", 2}};
  registry_.ApplyChanges({next}, 11);
  EXPECT_EQ(VersionFor(), 4);
  EXPECT_EQ(VersionFor("", "2"), 2);
  EXPECT_EQ(VersionFor("", "3"), -1);
  EXPECT_EQ(forgotten_, (std::vector<std::pair<std::string, std::int64_t>>{}))
      << "prod still reaches 2";
}

TEST_F(FunctionSplitTest, ForgetsWhatASplitNoLongerReaches) {
  registry_.ApplySnapshot(WithVersions("f", 2, {{1, 95}, {2, 5}}), 10);
  EXPECT_TRUE(forgotten_.empty());
  registry_.ApplyChanges({WithVersions("f", 2, {{2, 100}}).back()}, 11);
  EXPECT_EQ(forgotten_, (std::vector<std::pair<std::string, std::int64_t>>{{"u", 2}}));
}

TEST_F(FunctionSplitTest, AVersionGetsTheSecretsThatItNamesAndNoOthers) {
  auto updates = WithVersions("f", 2, {});
  const auto naming = [](FunctionUpdate& update, std::vector<std::string> ids) {
    auto spec = std::make_shared<FunctionSpec>(*update.spec);
    spec->secrets = std::move(ids);
    update.spec = std::move(spec);
  };
  naming(updates[0], {"db"});
  naming(updates[1], {"api"});
  updates[1].secrets = std::make_shared<const Secrets>(
      Secrets{{"api", {{"token", "one"}}}, {"db", {{"password", "two"}}}});
  registry_.ApplySnapshot(updates, 10);
  EXPECT_EQ(*registry_.Resolve({"default", "f", "", ""})->secrets,
            (Secrets{{"api", {{"token", "one"}}}}));
  EXPECT_EQ(*registry_.Resolve({"default", "f", "1", ""})->secrets,
            (Secrets{{"db", {{"password", "two"}}}}));
  updates[1].secrets = std::make_shared<const Secrets>(Secrets{{"api", {{"token", "new"}}}});
  registry_.ApplyChanges({updates[1]}, 11);
  EXPECT_EQ(registry_.Resolve({"default", "f", "", ""})->secrets->at("api").at("token"), "new");
  const absl::Status missing = registry_.Resolve({"default", "f", "1", ""}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("secret db"), absl::string_view::npos) << missing;
}

TEST_F(FunctionSplitTest, ASecretThatSignsIsNotGivenToTheFunction) {
  auto updates = WithVersions("f", 1, {});
  auto spec = std::make_shared<FunctionSpec>(*updates[0].spec);
  HttpTarget target;
  target.signing_secret = "hooks";
  spec->target = std::move(target);
  spec->async.callback_signing_secret = "callbacks";
  updates[0].spec = spec;
  updates[0].secrets = std::make_shared<const Secrets>(
      Secrets{{"hooks", {{"key", "one"}}}, {"callbacks", {{"key", "two"}}}});
  registry_.ApplySnapshot(updates, 10);
  const auto resolved = registry_.Resolve({"default", "f", "", ""});
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->secrets, nullptr);
  EXPECT_EQ(resolved->signing->at("key"), "one");
  EXPECT_EQ((*registry_.SigningSecret("default", "f", "callbacks"))->at("key"), "two");
  EXPECT_EQ(registry_.SigningSecret("default", "f", "other").status().code(),
            absl::StatusCode::kNotFound);
  updates[0].secrets = nullptr;
  registry_.ApplyChanges(updates, 11);
  const absl::Status missing = registry_.Resolve({"default", "f", "", ""}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound) << "never without a signature";
  EXPECT_NE(missing.message().find("secret hooks"), absl::string_view::npos) << missing;
}

TEST_F(FunctionSplitTest, AnOlderVersionAloneIsNotCallable) {
  registry_.ApplySnapshot({}, 1);
  FunctionUpdate older = Update("f", 1);
  older.is_older_version = true;
  registry_.ApplyChanges({older}, 2);
  EXPECT_EQ(registry_.Resolve({"default", "f", "", ""}).status().code(),
            absl::StatusCode::kNotFound);
  registry_.ApplyChanges({WithVersions("f", 2, {}).back()}, 3);
  EXPECT_EQ(VersionFor(), 2);
  EXPECT_EQ(VersionFor("", "1"), 1);
}

TEST_F(FunctionRegistryTest, AWaiterIsWokenByItsRevision) {
  registry_.ApplySnapshot({}, 1);
  std::optional<absl::Status> third;
  std::optional<absl::Status> fifth;
  registry_.WaitFor(3, Microseconds(1), [&](const absl::Status& status) { third = status; });
  registry_.WaitFor(5, Microseconds(1), [&](const absl::Status& status) { fifth = status; });
  registry_.ApplyChanges({}, 2);
  EXPECT_FALSE(third);
  registry_.ApplyChanges({}, 4);
  ASSERT_TRUE(third);
  EXPECT_TRUE(third->ok());
  EXPECT_FALSE(fifth);
  timers_.FireAll();
  ASSERT_TRUE(fifth);
  EXPECT_EQ(fifth->code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(fifth->message().find("not yet at revision 5"), absl::string_view::npos);
}

TEST_F(FunctionRegistryTest, AWaitForWhatIsKnownEndsAtOnce) {
  registry_.ApplySnapshot({}, 7);
  std::optional<absl::Status> status;
  registry_.WaitFor(7, Microseconds(1), [&](const absl::Status& got) { status = got; });
  EXPECT_TRUE(status && status->ok());
  EXPECT_TRUE(timers_.delays().empty());
}

TEST_F(FunctionRegistryTest, WaitsEndWithTheRegistry) {
  std::optional<absl::Status> status;
  {
    FunctionRegistry registry(timers_);
    registry.WaitFor(7, Microseconds(1), [&](const absl::Status& got) { status = got; });
  }
  EXPECT_EQ(status->code(), absl::StatusCode::kUnavailable);
  timers_.FireAll();
}

TEST_F(FunctionRegistryTest, LookUpsSeeOldOrNewWhileItChanges) {
  registry_.ApplySnapshot({Update("f", 1)}, 1);
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    std::int64_t last = 0;
    while (!stop) {
      const auto spec = registry_.Find("default", "f");
      ASSERT_NE(spec, nullptr);
      ASSERT_GE(spec->version, last);
      last = spec->version;
    }
  });
  for (std::int64_t version = 2; version < 2000; ++version) {
    registry_.ApplyChanges({Update("f", version)}, version);
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace penstock::executor
