#include "services/event-broker/app/subscription_metrics.h"

#include <gtest/gtest.h>

#include <sstream>

#include "libs/base/fake_clock.h"
#include "tests/support/event-broker/memory_state_store.h"
#include "tests/unit/services/event-broker/api/api_fakes.h"

namespace penstock::broker {
namespace {

StoredRevision Revision(const std::string& id, const std::string& function = "bill") {
  StoredRevision stored;
  stored.subscription.space = "shop";
  stored.subscription.id = id;
  stored.subscription.uid = "uid-" + id;
  stored.subscription.effective_sequence = 1;
  stored.subscription.state = SubscriptionState::kActive;
  stored.subscription.event_type = "order.*";
  stored.subscription.function = function;
  return stored;
}

class SubscriptionMetricsTest : public testing::Test {
 protected:
  SubscriptionMetricsTest() {
    for (int i = 0; i < 10; ++i) log_.Add("order.paid", std::to_string(i));
  }

  // Loads the subscriptions anew, each with its progress.
  void Load(const std::vector<std::string>& ids) {
    catalog_.emplace(log_, store_, references_, clock_, [](const std::function<void()>& work) {
      work();
      return true;
    });
    std::vector<StoredRevision> revisions;
    for (const std::string& id : ids) revisions.push_back(Revision(id));
    catalog_->Load(std::move(revisions));
    for (const std::string& id : ids) delivery_.progress["uid-" + id].floor = 4;
  }
  std::unique_ptr<SubscriptionMetrics> Make(std::size_t series_max = 1000) {
    return std::make_unique<SubscriptionMetrics>(
        registry_, SubscriptionMetrics::Ports{*catalog_, delivery_, letters_, log_, clock_},
        series_max);
  }
  // The lines of one metric, without its name.
  std::string Lines(const std::string& name) const {
    std::istringstream text(registry_.Serialize());
    std::string lines;
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("penstock_broker_" + name + "{")) {
        lines += line.substr(16 + name.size()) + "\n";
      }
    }
    return lines;
  }

  metrics::Registry registry_;
  MemoryStateStore store_;
  NoReferences references_;
  FakeClock clock_;
  MemoryLog log_;
  MemoryDelivery delivery_;
  MemoryDeadLetters letters_;
  std::optional<SubscriptionCatalog> catalog_;
};

TEST_F(SubscriptionMetricsTest, EachSubscriptionAndFunctionHasItsSeries) {
  Load({"a", "b"});
  SubscriptionProgress& progress = delivery_.progress["uid-a"];
  progress.in_flight = 3;
  progress.delivered_per_second = 1.5;
  progress.breaker = BreakerState::kOpen;
  progress.window = 12;
  progress.block = LaneBlock::kBreakerOpen;
  progress.oldest_pending = clock_.Wall() - std::chrono::seconds(7);
  delivery_.progress["uid-b"].window = 40;
  letters_.letters[{"uid-b", 2}] = {};
  const auto metrics = Make();
  metrics->Sample();
  EXPECT_EQ(Lines("subscription_lag_sequences"),
            "{space=\"shop\",subscription=\"a\"} 6\n{space=\"shop\",subscription=\"b\"} 6\n");
  EXPECT_EQ(Lines("subscription_in_flight_deliveries"),
            "{space=\"shop\",subscription=\"a\"} 3\n{space=\"shop\",subscription=\"b\"} 0\n");
  EXPECT_EQ(Lines("subscription_oldest_pending_seconds"),
            "{space=\"shop\",subscription=\"a\"} 7\n{space=\"shop\",subscription=\"b\"} 0\n");
  EXPECT_EQ(Lines("subscription_dead_letters"),
            "{space=\"shop\",subscription=\"a\"} 0\n{space=\"shop\",subscription=\"b\"} 1\n");
  EXPECT_EQ(Lines("subscription_blocked"),
            "{space=\"shop\",subscription=\"a\"} 1\n{space=\"shop\",subscription=\"b\"} 0\n");
  // Both have the same function.
  EXPECT_EQ(Lines("target_breaker_state"), "{function=\"spaces/shop/functions/bill\"} 2\n");
  EXPECT_EQ(Lines("target_window_calls"), "{function=\"spaces/shop/functions/bill\"} 12\n");
}

TEST_F(SubscriptionMetricsTest, WhatIsBeyondTheLimitSharesOneSeries) {
  Load({"a", "b", "c", "d"});
  delivery_.progress["uid-c"].in_flight = 2;
  delivery_.progress["uid-d"].in_flight = 5;
  delivery_.progress["uid-d"].floor = 1;
  const auto metrics = Make(2);
  metrics->Sample();
  EXPECT_EQ(Lines("subscription_in_flight_deliveries"),
            "{space=\"other\",subscription=\"other\"} 7\n{space=\"shop\",subscription=\"a\"} 0\n"
            "{space=\"shop\",subscription=\"b\"} 0\n");
  EXPECT_EQ(Lines("subscription_lag_sequences").substr(0, 44),
            "{space=\"other\",subscription=\"other\"} 9\n{spac");
}

TEST_F(SubscriptionMetricsTest, ASeriesGoesWithItsSubscription) {
  Load({"a", "b"});
  auto metrics = Make(1);
  metrics->Sample();
  metrics.reset();
  EXPECT_EQ(Lines("subscription_lag_sequences"), "");
  EXPECT_EQ(Lines("target_window_calls"), "");
  Load({"b"});
  metrics = Make(1);
  metrics->Sample();
  EXPECT_EQ(Lines("subscription_lag_sequences"), "{space=\"shop\",subscription=\"b\"} 6\n");
}

TEST_F(SubscriptionMetricsTest, WhatDeliveryDoesNotKnowHasNone) {
  Load({"a"});
  delivery_.progress.clear();
  const auto metrics = Make();
  metrics->Sample();
  metrics->Sample();  // The first round has ended.
  EXPECT_EQ(Lines("subscription_lag_sequences"), "");
}

}  // namespace
}  // namespace penstock::broker
