// Starts in the past, batches, drains, replays and dry runs.
#include <chrono>
#include <set>

#include "tests/unit/services/event-broker/delivery/runner_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

class DeliveryLanesTest : public RunnerTest {
 protected:
  std::int64_t Count(const std::string& uid, Sequence from, Sequence to) {
    std::promise<std::int64_t> count;
    runner_->CountMatches(uid, from, to, [&](absl::StatusOr<std::int64_t> given) {
      count.set_value(given.ok() ? *given : -1);
    });
    auto future = count.get_future();
    if (future.wait_for(10s) != std::future_status::ready) std::abort();
    return future.get();
  }
  StoredReplay StartReplay(const std::string& uid, Sequence from, Sequence to) {
    StoredReplay replay;
    replay.uid = uid;
    replay.replay = "again";
    replay.from = from;
    replay.to = to;
    std::promise<absl::Status> saved;
    store_->SaveReplay(replay, [&](const absl::Status& status) { saved.set_value(status); });
    EXPECT_TRUE(saved.get_future().get().ok());
    runner_->StartReplay(replay);
    return replay;
  }
  std::set<Sequence> SequencesOf(const std::string& lane) {
    std::set<Sequence> sequences;
    for (const InvocationOrder& order : invoker_->orders()) {
      if (order.key.uid != lane) continue;
      sequences.insert(order.key.sequence);
      for (const auto& batched : order.batch) sequences.insert(batched.key.sequence);
    }
    return sequences;
  }
};

TEST_F(DeliveryLanesTest, AStartInThePastDeliversWhatWasThere) {
  StartBroker();
  Publish(5);
  Subscription wanted = Wanted("orders");
  wanted.start.kind = StartPosition::Kind::kSequence;
  wanted.start.sequence = 3;
  const auto created = Create(wanted);
  ASSERT_TRUE(created.ok()) << created.status();
  const Sequence last = Publish();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 4; }));
  EXPECT_EQ(SequencesOf(created->subscription.uid), (std::set<Sequence>{3, 4, 5, last}));
}

TEST_F(DeliveryLanesTest, EventsThatWaitLeaveInOneCall) {
  slots_ = 0;
  StartBroker();
  Subscription wanted = Wanted("orders");
  wanted.batching = {3, 0us};
  ASSERT_TRUE(Create(wanted).ok());
  Publish(3);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  invoker_->set_answer(nullptr);
  invoker_->SetSlots(10);
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  const InvocationOrder order = invoker_->orders()[0];
  EXPECT_TRUE(order.batched);
  ASSERT_EQ(order.batch.size(), 2u);
  EXPECT_EQ(order.batch[1].key.sequence, order.key.sequence + 2);
}

TEST_F(DeliveryLanesTest, AReplayDeliversARangeAgainAndEnds) {
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  const Sequence last = Publish(6);
  Publish(1, "order.other");
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 6; }));
  const StoredReplay replay = StartReplay(created->subscription.uid, last - 2, last + 1);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 9; }));
  EXPECT_EQ(SequencesOf(replay.Lane()), (std::set<Sequence>{last - 2, last - 1, last}));
  EXPECT_TRUE(invoker_->orders().back().replay);
  EXPECT_TRUE(Eventually([&] {
    const auto running = store_->LoadReplays();
    return running.ok() && running->empty();
  }));
}

TEST_F(DeliveryLanesTest, AReplayThatWasCancelledJustBeforeACrashIsForgottenAtTheStart) {
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  const Sequence last = Publish(3);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 3; }));
  invoker_->set_answer(nullptr);
  const StoredReplay replay = StartReplay(created->subscription.uid, last - 1, last);
  ASSERT_TRUE(Eventually([&] {
    const auto saved = store_->LoadDeliveryState();
    return saved.ok() && saved->cursors.contains(replay.Lane());
  }));
  // The store knows it, delivery does not hear of it any more.
  std::promise<absl::Status> cancelled;
  store_->SetReplayState(
      replay.uid, replay.replay, ReplayState::kCancelled, SystemClock().Wall(),
      [&](const absl::StatusOr<StoredReplay>& changed) { cancelled.set_value(changed.status()); });
  ASSERT_TRUE(cancelled.get_future().get().ok());
  StopBroker(0ms);
  const auto lane_is_stored = [&] {
    const auto store = SqliteStateStore::Open((folder_ / "state.db").string());
    const auto saved = store.ok() ? (*store)->LoadDeliveryState() : store.status();
    return saved.ok() && saved->cursors.contains(replay.Lane());
  };
  ASSERT_TRUE(lane_is_stored());
  StartBroker();
  StopBroker();
  EXPECT_FALSE(lane_is_stored());
}

TEST_F(DeliveryLanesTest, ALetterOfAReplayThatHasEndedIsRedrivenOverARestart) {
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  const Sequence last = Publish(2);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 2; }));
  invoker_->set_answer([](const InvocationOrder&) { return DeliveryOutcome::kPermanent; });
  const StoredReplay replay = StartReplay(created->subscription.uid, last, last);
  ASSERT_TRUE(Eventually([&] {
    const auto running = store_->LoadReplays();
    return running.ok() && running->empty() && DeadLetters().size() == 1;
  }));
  answer_ = nullptr;
  StopBroker();
  StartBroker();
  const auto letters = DeadLetters();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].delivery.key, (DeliveryKey{replay.Lane(), last}));
  EXPECT_EQ(Redrive(letters), 1);
  ASSERT_TRUE(Eventually([&] { return invoker_->count() == 1; }));
  EXPECT_TRUE(invoker_->orders()[0].replay);
  // It is on its way; the next process sends it again.
  StopBroker(0ms);
  answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kSucceeded; };
  StartBroker();
  ASSERT_TRUE(Eventually([&] { return runner_->stats().succeeded == 1; }));
  StopBroker();
  StartBroker();
  EXPECT_TRUE(DeadLetters().empty());
  const auto saved = store_->LoadDeliveryState();
  ASSERT_TRUE(saved.ok());
  EXPECT_FALSE(saved->rows.contains(replay.Lane()));
}

TEST_F(DeliveryLanesTest, ADryRunCountsWhatMatches) {
  StartBroker();
  Publish(3);
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  Publish(4);
  Publish(2, "order.other");
  const std::string& uid = created->subscription.uid;
  ASSERT_TRUE(Eventually([&] { return Progress(uid).has_value(); }));
  EXPECT_EQ(Count(uid, 1, log_->head()), 7);
  EXPECT_EQ(Count(uid, 2, 3), 2);
  EXPECT_EQ(Count("nobody", 1, 3), -1);
}

TEST_F(DeliveryLanesTest, ADrainEndsInAPauseAtItsPlace) {
  StartBroker();
  const auto created = Create(Wanted("orders"));
  ASSERT_TRUE(created.ok());
  Publish(3);
  ASSERT_TRUE(WaitFor([&](auto done) { catalog_->Drain("shop", "orders", done); }).ok());
  ASSERT_TRUE(Eventually([&] {
    // As in the broker: a drain that ends before its own change has ended is tried again.
    catalog_->Maintain();
    return catalog_->Get("shop", "orders")->state == SubscriptionState::kPaused;
  }));
  EXPECT_EQ(invoker_->count(), 3u);
  Publish(2);
  ASSERT_TRUE(Eventually([&] { return runner_->stats().matched_through == log_->head(); }));
  EXPECT_EQ(invoker_->count(), 3u);
  ASSERT_TRUE(WaitFor([&](auto done) { catalog_->Resume("shop", "orders", done); }).ok());
  EXPECT_TRUE(Eventually([&] { return runner_->stats().succeeded == 5; }));
}

}  // namespace
}  // namespace penstock::broker
