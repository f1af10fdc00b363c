#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using Stub = pb::EventCatalogService::Stub;

class ReplaysTest : public EventBrokerTest {
 protected:
  // Ten events of which five match, all delivered.
  ReplaysTest() {
    const auto created = Create("orders", Wanted());
    uid_ = created.ok() ? created->uid() : "";
    for (int i = 0; i < 10; ++i) {
      last_ = MustPublish("a" + std::to_string(i), i % 2 == 0 ? "order.paid" : "user.created");
      if (i == 0) first_ = last_;
    }
    delivered_ = Eventually([&] { return executor_->count() == 5; });
  }
  pb::ReplaySubscriptionRequest Request() const {
    pb::ReplaySubscriptionRequest request;
    request.set_name(NameOf("orders"));
    return request;
  }
  absl::StatusOr<pb::ReplaySubscriptionResponse> Replay(
      const pb::ReplaySubscriptionRequest& request) {
    return Call(*catalog_, &Stub::ReplaySubscription, request);
  }
  absl::StatusOr<pb::Replay> GetReplay(const std::string& name) {
    pb::GetReplayRequest request;
    request.set_name(name);
    return Call(*catalog_, &Stub::GetReplay, request);
  }
  template <typename ByName>
  absl::StatusOr<pb::Replay> Steer(grpc::Status (Stub::*method)(grpc::ClientContext*, const ByName&,
                                                                pb::Replay*),
                                   const std::string& name) {
    ByName request;
    request.set_name(name);
    return Call(*catalog_, method, request);
  }

  std::string uid_;
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
  bool delivered_ = false;
};
INSTANTIATE_TEST_SUITE_P(Transports, ReplaysTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(ReplaysTest, ADryRunCountsAndSendsNothing) {
  ASSERT_TRUE(delivered_);
  pb::ReplaySubscriptionRequest request = Request();
  request.set_dry_run(true);
  const auto all = Replay(request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->matched_count(), 5);
  EXPECT_TRUE(all->replay_id().empty());
  request.set_from_sequence(first_ + 2);
  request.set_to_sequence(first_ + 5);
  EXPECT_EQ(Replay(request)->matched_count(), 2);
  EXPECT_EQ(executor_->count(), 5u);
}

TEST_P(ReplaysTest, ARangeIsDeliveredAgainUnderIdsOfItsOwn) {
  ASSERT_TRUE(delivered_);
  pb::ReplaySubscriptionRequest request = Request();
  request.set_from_sequence(first_);
  request.set_to_sequence(first_ + 5);
  const auto started = Replay(request);
  ASSERT_TRUE(started.ok()) << started.status();
  const std::string name = started->replay().name();
  EXPECT_EQ(name, NameOf("orders") + "/replays/" + started->replay_id());
  ASSERT_TRUE(Eventually([&] {
    const auto replay = GetReplay(name);
    return replay.ok() && replay->state() == pb::Replay::DONE;
  }));
  EXPECT_EQ(executor_->count(), 8u);
  const auto invocation = executor_->invocations().back();
  EXPECT_TRUE(invocation.replay());
  EXPECT_EQ(invocation.delivery_id(),
            uid_ + "." + started->replay_id() + "-" + std::to_string(invocation.sequence()));
  const auto done = GetReplay(name);
  EXPECT_EQ(done->matched_count(), 3);
  EXPECT_EQ(done->delivered_count(), 3);
  EXPECT_EQ(done->dead_letter_count(), 0);
  EXPECT_TRUE(done->has_end_time());
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&Stub::PauseReplay, name).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&Stub::CancelReplay, name).status()));
}

TEST_P(ReplaysTest, PausedOverARestartAndCancelled) {
  ASSERT_TRUE(delivered_);
  pb::ReplaySubscriptionRequest request = Request();
  request.set_rate_per_second(1);
  const auto started = Replay(request);
  ASSERT_TRUE(started.ok()) << started.status();
  const std::string name = started->replay().name();
  EXPECT_EQ(Steer(&Stub::PauseReplay, name)->state(), pb::Replay::PAUSED);
  Restart();
  EXPECT_EQ(GetReplay(name)->state(), pb::Replay::PAUSED);
  EXPECT_EQ(Steer(&Stub::ResumeReplay, name)->state(), pb::Replay::RUNNING);
  EXPECT_EQ(Steer(&Stub::CancelReplay, name)->state(), pb::Replay::CANCELLED);
  EXPECT_TRUE(absl::IsFailedPrecondition(Steer(&Stub::ResumeReplay, name).status()));
  EXPECT_TRUE(absl::IsNotFound(GetReplay(NameOf("orders") + "/replays/none").status()));
  EXPECT_EQ(FieldsOf(GetReplay(NameOf("orders")).status()), "name");
}

TEST_P(ReplaysTest, TheyAreListedNewestFirstInPages) {
  ASSERT_TRUE(delivered_);
  std::vector<std::string> started;
  for (int i = 0; i < 3; ++i) {
    const auto replay = Replay(Request());
    ASSERT_TRUE(replay.ok()) << replay.status();
    started.insert(started.begin(), replay->replay().name());
    ASSERT_TRUE(Eventually([&] { return GetReplay(started[0])->state() == pb::Replay::DONE; }));
  }
  pb::ListReplaysRequest list;
  list.set_parent(NameOf("orders"));
  list.set_page_size(2);
  const auto first = Call(*catalog_, &Stub::ListReplays, list);
  ASSERT_TRUE(first.ok()) << first.status();
  list.set_page_token(first->next_page_token());
  const auto second = Call(*catalog_, &Stub::ListReplays, list);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(first->replays_size(), 2);
  ASSERT_EQ(second->replays_size(), 1);
  EXPECT_TRUE(second->next_page_token().empty());
  EXPECT_EQ(first->replays(0).name(), started[0]);
  EXPECT_EQ(first->replays(1).name(), started[1]);
  EXPECT_EQ(second->replays(0).name(), started[2]);
}

TEST_P(ReplaysTest, BadRangesAreRefused) {
  ASSERT_TRUE(delivered_);
  pb::ReplaySubscriptionRequest request = Request();
  request.set_to_sequence(last_ + 100);
  const auto above = Replay(request).status();
  EXPECT_TRUE(absl::IsOutOfRange(above)) << above;
  EXPECT_EQ(above.message().find("toSequence: "), 0u) << above;
  request = Request();
  request.set_from_sequence(5);
  request.set_to_sequence(4);
  EXPECT_EQ(FieldsOf(Replay(request).status()), "toSequence");
  request = Request();
  request.mutable_from_time()->set_seconds(4'000'000'000);
  EXPECT_EQ(FieldsOf(Replay(request).status()), "fromTime");
  request = Request();
  request.mutable_to_time()->set_seconds(1'000'000'000);
  EXPECT_EQ(FieldsOf(Replay(request).status()), "toTime");
  request = Request();
  request.set_rate_per_second(-1);
  EXPECT_EQ(FieldsOf(Replay(request).status()), "ratePerSecond");
  request.set_name(NameOf("nobody"));
  EXPECT_TRUE(absl::IsNotFound(Replay(request).status()));
  ASSERT_TRUE(Create("route", Routed("/a")).ok());
  request = Request();
  request.set_name(NameOf("route"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Replay(request).status()));
}

}  // namespace
}  // namespace penstock::broker
