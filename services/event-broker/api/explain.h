// What became of one event.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/domain/filter/trace.h"
#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Evaluates the filters of the revisions that were in force at the event's sequence again, and asks
// where its deliveries are. Thread-safe. What it is given must outlive it, and every answer.
class Explainer {
 public:
  struct Ports {
    EventLog& log;
    const SubscriptionCatalog& catalog;
    DeliveryControl& delivery;
    DeadLetterStore& dead_letters;
  };
  struct Limits {
    Microseconds cpu_max{100'000};  // Of one answer's evaluation; then comes a page token.
    std::size_t listed_max = 200;   // Subscriptions of one answer.
    // CPU time of the calling thread.
    std::function<Microseconds()> cpu_time;
  };
  using Done = std::function<void(absl::StatusOr<penstock::events::v1::ExplainEventResponse>)>;

  // The limits of the service.
  static Limits DefaultLimits();

  Explainer(Ports ports, PublishRules rules, Limits limits = DefaultLimits())
      : ports_(ports), rules_(std::move(rules)), limits_(std::move(limits)) {}

  // Reads and evaluates in the calling thread, which may block; `done` is called once, in the call
  // or on a thread of a port.
  void Explain(const penstock::events::v1::ExplainEventRequest& request, Done done) const;

 private:
  // A subscription that was considered.
  struct Considered {
    std::shared_ptr<const StoredRevision> revision;
    Trace trace;
    bool sent_to_sink = false;  // It was published again under the dead-letter sink's event type.
  };
  struct Page {
    EventRecord event;
    std::vector<Considered> considered;  // Those that matched first.
    std::string next_page_token;
  };
  struct Job;

  absl::StatusOr<Page> Evaluate(const penstock::events::v1::ExplainEventRequest& request) const;
  absl::Status ConsiderAll(const penstock::events::v1::ExplainEventRequest& request,
                           const std::string& only, std::string after, Page& page) const;
  bool WasSunk(const Subscription& subscription, const EventRecord& event) const;

  const Ports ports_;
  const PublishRules rules_;
  const Limits limits_;
};

// What the delivery of the event at `sequence` waits for, in words; empty when it waits for
// nothing.
std::string WaitsFor(const DeliveryWhereabouts& whereabouts, const Subscription& subscription,
                     Sequence sequence);

}  // namespace penstock::broker
