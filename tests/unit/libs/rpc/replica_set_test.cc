#include "libs/rpc/replica_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using std::chrono::milliseconds;

// Answers resolutions as told, and keeps what the set reports.
class FakeNames {
 public:
  void Set(absl::StatusOr<std::vector<std::string>> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  ReplicaSet::Options Options() {
    ReplicaSet::Options options;
    options.target = "executor:9040";
    options.resolve_interval = milliseconds(2);
    options.retry_interval = milliseconds(2);
    options.resolver = [this](const std::string&) {
      const std::lock_guard lock(mutex_);
      ++resolutions_;
      return answer_;
    };
    options.on_added = [this](const Replica& replica) { Note("+" + replica.address); };
    options.on_removed = [this](const Replica& replica) { Note("-" + replica.address); };
    return options;
  }
  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  int resolutions() const {
    const std::lock_guard lock(mutex_);
    return resolutions_;
  }

 private:
  void Note(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }

  mutable std::mutex mutex_;
  absl::StatusOr<std::vector<std::string>> answer_ = absl::UnavailableError("not yet");
  std::vector<std::string> events_;
  int resolutions_ = 0;
};

using Addresses = std::vector<std::string>;

TEST(ReplicaSetTest, ReportsWhatComesAndGoes) {
  FakeNames names;
  ReplicaSet set(names.Options());
  set.Start();
  ASSERT_TRUE(Eventually([&] { return names.resolutions() > 0; }));
  EXPECT_FALSE(set.ready());
  names.Set(Addresses{"10.0.0.1:9040", "10.0.0.2:9040"});
  ASSERT_TRUE(Eventually([&] { return names.events().size() == 2; }));
  EXPECT_TRUE(set.ready());
  EXPECT_EQ(set.replicas().size(), 2u);
  names.Set(Addresses{"10.0.0.2:9040", "10.0.0.3:9040"});
  ASSERT_TRUE(Eventually([&] { return names.events().size() == 4; }));
  EXPECT_EQ(names.events(),
            (Addresses{"+10.0.0.1:9040", "+10.0.0.2:9040", "-10.0.0.1:9040", "+10.0.0.3:9040"}));
  set.Stop();
}

TEST(ReplicaSetTest, KeepsReplicasThroughAFailedResolution) {
  FakeNames names;
  names.Set(Addresses{"10.0.0.1:9040"});
  ReplicaSet set(names.Options());
  set.Start();
  ASSERT_TRUE(Eventually([&] { return set.ready(); }));
  names.Set(absl::UnavailableError("the name server is down"));
  ASSERT_TRUE(Eventually([&] { return !set.last_error().ok(); }));
  EXPECT_TRUE(set.ready());
}

TEST(ReplicaSetTest, PicksTheMostCreditAndTakesTurns) {
  FakeNames names;
  names.Set(Addresses{"a:1", "b:1", "c:1"});
  ReplicaSet set(names.Options());
  set.Start();
  ASSERT_TRUE(Eventually([&] { return set.replicas().size() == 3; }));
  EXPECT_FALSE(set.Pick()) << "new replicas have no credit";
  set.SetCredit("a:1", 3);
  set.SetCredit("b:1", 9);
  set.SetCredit("gone:1", 100);
  EXPECT_EQ(set.Pick()->address, "b:1");
  set.SetCredit("a:1", 9);
  set.SetCredit("c:1", 9);
  std::vector<std::string> picks;
  for (int i = 0; i < 6; ++i) picks.push_back(set.Pick()->address);
  EXPECT_EQ(std::count(picks.begin(), picks.end(), "a:1"), 2);
  EXPECT_EQ(std::count(picks.begin(), picks.end(), "c:1"), 2);
}

TEST(ReplicaSetTest, FollowsAServerOfThisProcess) {
  EchoService service;
  ServerOptions server;
  server.name = "replica-set-test";
  server.services = {&service};
  FakeNames names;
  ReplicaSet::Options options = names.Options();
  options.target = "inproc:replica-set-test";
  options.resolver = ResolveReplicas;
  ReplicaSet set(options);
  set.Start();
  EXPECT_FALSE(set.ready());
  auto host = ServerHost::Start(server);
  ASSERT_TRUE(Eventually([&] { return names.events().size() == 1; }));
  host->reset();
  ASSERT_TRUE(Eventually([&] { return !set.ready(); }));
  host = ServerHost::Start(server);
  ASSERT_TRUE(Eventually([&] { return set.ready(); }));
  set.Stop();
}

TEST(ReplicaSetTest, ResolvesNamesToNumericAddresses) {
  const auto addresses = ResolveReplicas("localhost:9040");
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_EQ(*addresses, Addresses{"127.0.0.1:9040"});
  EXPECT_EQ(ResolveReplicas("127.0.0.1:1").value(), Addresses{"127.0.0.1:1"});
  EXPECT_EQ(ResolveReplicas("no-such-host.invalid:1").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(ResolveReplicas("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::rpc
