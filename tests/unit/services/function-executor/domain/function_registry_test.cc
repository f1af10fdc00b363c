#include "services/function-executor/domain/function_registry.h"

#include <atomic>
#include <limits>
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
  FunctionRegistry registry_{timers_, [this](const std::string& uid, std::int64_t version) {
                               forgotten_.emplace_back(uid, version);
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
