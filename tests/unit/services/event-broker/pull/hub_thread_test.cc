#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "tests/unit/services/event-broker/pull/hub_fixture.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// Rung from the hub's thread, also after its consumer has left.
class Bell {
 public:
  void Ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    ringing_.notify_all();
  }
  // A few milliseconds at most.
  void Await() {
    std::unique_lock lock(mutex_);
    ringing_.wait_for(lock, 5ms, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ringing_;
  bool rung_ = false;
};

// With the hub's own thread, and the real clock's waits.
class HubThreadTest : public HubTest {
 protected:
  HubThreadTest() : HubTest(/*own_thread=*/true) {}

  // Delivers `events` events as the engine does: takes the credit as it is told, counts down what
  // it sends, and sends again what was not acknowledged.
  void Deliver(Sequence events) {
    for (Sequence at = 1; at <= events; ++at) open_.insert(at);
    hub_->Start({[this](std::vector<DeliveryResult> results) { Take(results); },
                 [this](const std::string&, std::size_t credit) {
                   std::unique_lock lock(mutex_);
                   told_ = credit;
                   Pump(lock);
                 }});
  }
  bool AwaitAll() {
    std::unique_lock lock(mutex_);
    return done_.wait_for(lock, 60s, [this] { return open_.empty(); });
  }

  // Joins again and again, acknowledges, and leaves with something in its hands.
  void Consume(bool renews, const std::atomic<bool>& stop) {
    while (!stop) {
      const auto bell = std::make_shared<Bell>();
      auto joined = hub_->Join(kName, {.renew_credit = renews},
                               {[bell] { bell->Ring(); }, [](const absl::Status&) {}});
      ASSERT_TRUE(joined.ok()) << joined.status();
      ASSERT_TRUE((*joined)->AddCredit(50).ok());
      for (int turn = 0; turn < 20 && !stop; ++turn) {
        bell->Await();
        std::vector<std::string> ids;
        for (const PulledEvent& event : (*joined)->Take(64, 1u << 20)) {
          ids.push_back(event.delivery_id);
        }
        (*joined)->Acknowledge(ids);
        if (renews) continue;
        ASSERT_TRUE((*joined)->AddCredit(static_cast<std::int64_t>(ids.size())).ok());
      }
      (*joined)->Take(10, 1u << 20);
    }
  }

  std::mutex mutex_;
  std::condition_variable done_;
  std::set<Sequence> open_;  // Not acknowledged.
  std::set<Sequence> in_flight_;
  std::map<Sequence, int> attempts_;
  std::size_t told_ = 0;

 private:
  void Take(const std::vector<DeliveryResult>& results) {
    std::unique_lock lock(mutex_);
    for (const DeliveryResult& result : results) {
      EXPECT_EQ(in_flight_.erase(result.key.sequence), 1u);
      EXPECT_EQ(result.attempt, attempts_[result.key.sequence]);
      if (result.outcome == DeliveryOutcome::kSucceeded) {
        EXPECT_EQ(open_.erase(result.key.sequence), 1u);
      }
    }
    Pump(lock);
    if (open_.empty()) done_.notify_all();
  }
  void Pump(std::unique_lock<std::mutex>& lock) {
    std::vector<PullOrder> orders;
    for (const Sequence at : open_) {
      if (told_ == 0) break;
      if (!in_flight_.insert(at).second) continue;
      --told_;
      orders.push_back(Order(at, ++attempts_[at]));
    }
    lock.unlock();
    if (!orders.empty()) hub_->Send(std::move(orders));
    lock.lock();
  }
};

TEST_F(HubThreadTest, EveryDeliveryEndsOnceWhileConsumersComeAndGo) {
  Deliver(20'000);
  std::atomic<bool> stop = false;
  std::vector<std::thread> consumers;
  for (int number = 0; number < 4; ++number) {
    consumers.emplace_back([&, renews = number % 2 == 0] { Consume(renews, stop); });
  }
  EXPECT_TRUE(AwaitAll()) << "some events were not acknowledged";
  stop = true;
  for (std::thread& consumer : consumers) consumer.join();
  hub_->Stop();
  EXPECT_TRUE(in_flight_.empty());
  EXPECT_EQ(hub_->stats().out, 0);
  EXPECT_EQ(hub_->stats().waiting, 0);
  EXPECT_EQ(hub_->stats().consumers, 0);
}

}  // namespace
}  // namespace penstock::broker
