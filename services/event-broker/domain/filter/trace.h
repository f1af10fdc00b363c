// Evaluates filters and says why: for people, not for the hot path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/event-broker/domain/catalog/subscription.h"
#include "services/event-broker/domain/filter/filter.h"
#include "services/event-broker/domain/filter/matcher.h"

namespace penstock::broker {

// The result of an evaluation and what decided it.
struct Trace {
  bool matched = false;
  // False when the event type did not match: then filters were not looked at.
  bool type_matched = false;
  // Paths into the subscription, such as "eventType" and "filters[1].any[0].exact.source": of what
  // did not hold; or, when everything held, of what made it hold. Never empty.
  std::vector<std::string> clauses;

  // The paths with commas between.
  std::string Clause() const;
};

// Evaluates an event type pattern and filters that have passed their checks. An empty pattern is
// any type. The same outcome as CompiledSubscription::Matches, apart from the space.
Trace TraceMatch(std::string_view event_type, const std::vector<Filter>& filters,
                 const EventView& event);

}  // namespace penstock::broker
