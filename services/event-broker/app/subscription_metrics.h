// How each subscription and each function stands, as metrics.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Asks delivery about every subscription now and then, one after the other, and sets gauges with
// the answers. The first 1,000 subscriptions and functions have series of their own, which go with
// them; all others share one whose labels read "other".
class SubscriptionMetrics {
 public:
  static constexpr std::size_t kSeriesMax = 1000;

  struct Ports {
    const SubscriptionCatalog& catalog;
    DeliveryControl& delivery;
    DeadLetterStore& dead_letters;
    const EventLog& log;
    const Clock& clock;
  };

  // The ports must live until they have given all their answers; the registry outlives this.
  SubscriptionMetrics(metrics::Registry& registry, Ports ports,
                      std::size_t series_max = kSeriesMax);
  // Ends the thread. Answers that come later change nothing.
  ~SubscriptionMetrics();

  // A thread that samples every ten seconds.
  void Start();
  // One round; nothing while an earlier one is under way. Never blocks: the gauges change once all
  // answers are there.
  void Sample();

 private:
  struct Gauges;
  struct Round;

  static void AskNext(std::shared_ptr<Round> round);

  const Ports ports_;
  const std::shared_ptr<Gauges> gauges_;
  const std::shared_ptr<std::atomic<bool>> sampling_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::broker
