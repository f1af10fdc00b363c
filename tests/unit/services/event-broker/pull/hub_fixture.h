// A hub between delivery and consumers that a test plays.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/fake_clock.h"
#include "services/event-broker/pull/pull_hub.h"

namespace penstock::broker {

// A consumer and what it was told.
struct TestConsumer {
  std::shared_ptr<PullConsumer> joined;
  int ready = 0;
  std::optional<absl::Status> end;

  // Sequences and attempts of everything that can be taken.
  std::vector<std::pair<Sequence, int>> Take(std::size_t events_max = 1000,
                                             std::size_t bytes_max = 64u << 20) {
    std::vector<std::pair<Sequence, int>> taken;
    for (const PulledEvent& event : joined->Take(events_max, bytes_max)) {
      taken.emplace_back(event.sequence, event.attempt);
    }
    return taken;
  }
};

class HubTest : public testing::Test {
 protected:
  static constexpr char kUid[] = "u1";
  static constexpr char kName[] = "spaces/default/subscriptions/pulled";

  explicit HubTest(bool own_thread = false) : own_thread_(own_thread) {}

  void SetUp() override {
    Subscription& pulled = subscriptions_["pulled"];
    pulled.space = "default";
    pulled.id = "pulled";
    pulled.uid = kUid;
    pulled.pull = PullPolicy{};
    subscriptions_["called"] = pulled;
    subscriptions_["called"].id = "called";
    subscriptions_["called"].uid = "u2";
    subscriptions_["called"].pull.reset();
    PullHub::Options options;
    options.own_thread = own_thread_;
    hub_ = std::make_unique<PullHub>(
        PullHub::Subscriptions{
            [this](const std::string&, const std::string& id) -> absl::StatusOr<Subscription> {
              const auto at = subscriptions_.find(id);
              if (at == subscriptions_.end()) return absl::NotFoundError(id + " not found");
              return at->second;
            },
            [this](const std::string& uid) -> std::optional<Subscription> {
              for (const auto& [id, subscription] : subscriptions_) {
                if (subscription.uid == uid) return subscription;
              }
              return std::nullopt;
            }},
        clock_, options);
    if (own_thread_) return;
    hub_->Start({[this](std::vector<DeliveryResult> results) {
                   credit_at_results_ = credit_[kUid];
                   for (DeliveryResult& result : results) results_.push_back(std::move(result));
                 },
                 [this](const std::string& uid, std::size_t credit) { credit_[uid] = credit; }});
  }

  // Joins, with credit.
  std::shared_ptr<TestConsumer> Join(std::int64_t credit,
                                     PullConsumers::ConsumerOptions options = {}) {
    auto consumer = std::make_shared<TestConsumer>();
    const std::weak_ptr<TestConsumer> weak = consumer;
    auto joined = hub_->Join(kName, options,
                             {[weak] {
                                if (const auto alive = weak.lock()) ++alive->ready;
                              },
                              [weak](const absl::Status& end) {
                                if (const auto alive = weak.lock()) alive->end = end;
                              }});
    EXPECT_TRUE(joined.ok()) << joined.status();
    consumer->joined = *std::move(joined);
    EXPECT_TRUE(consumer->joined->AddCredit(credit).ok());
    hub_->Tick();
    return consumer;
  }

  static PullOrder Order(Sequence sequence, int attempt = 1, std::size_t bytes = 3) {
    PullOrder order;
    order.key = {kUid, sequence};
    order.attempt = attempt;
    order.subscription = kName;
    order.ack_timeout = std::chrono::seconds(10);
    order.event = SharedBytes(std::string(bytes, 'e'));
    return order;
  }
  // As delivery does it, which counts down the credit that it was told.
  void Send(std::vector<PullOrder> orders) {
    std::size_t& credit = credit_[kUid];
    credit -= std::min(credit, orders.size());
    hub_->Send(std::move(orders));
    hub_->Tick();
  }
  void Send(Sequence first, Sequence last) {
    std::vector<PullOrder> orders;
    for (Sequence at = first; at <= last; ++at) orders.push_back(Order(at));
    Send(std::move(orders));
  }
  void Send(PullOrder order) {
    std::vector<PullOrder> orders;
    orders.push_back(std::move(order));
    Send(std::move(orders));
  }
  void Advance(Microseconds by) {
    clock_.Advance(by);
    hub_->Tick();
  }
  static std::string Id(Sequence sequence) { return DeliveryKey{kUid, sequence}.Id(); }

  // The results since the last call.
  std::vector<DeliveryResult> Results() {
    hub_->Tick();
    return std::exchange(results_, {});
  }
  std::size_t Credit() {
    hub_->Tick();
    return credit_[kUid];
  }

  const bool own_thread_;
  FakeClock clock_;
  std::map<std::string, Subscription> subscriptions_;
  std::vector<DeliveryResult> results_;
  std::map<std::string, std::size_t> credit_;
  std::optional<std::size_t> credit_at_results_;  // When the last results came.
  std::unique_ptr<PullHub> hub_;
};

using Taken = std::vector<std::pair<Sequence, int>>;

}  // namespace penstock::broker
