// What deliveries wait for, as people read it.
#include "services/event-broker/api/explain.h"

namespace penstock::broker {
namespace {

// Why nothing of the lane is sent; empty when nothing is in the way.
std::string BlockText(LaneBlock block, const Subscription& subscription) {
  switch (block) {
    case LaneBlock::kNone: return "";
    case LaneBlock::kKeyBacklog: return "events behind keys that fail: too many of them wait";
    case LaneBlock::kDeadLettersFull: return "room for dead letters: redrive or purge some";
    case LaneBlock::kRetriesFull:
      return "other deliveries to end: too many of them are tried again";
    case LaneBlock::kBreakerOpen:
      return subscription.group ? "the breaker of one of its functions to close"
                                : "the breaker of its function to close";
    case LaneBlock::kNoExecutor: return "a function-executor: none is connected";
    case LaneBlock::kNoConsumer: return "a consumer: none is connected that takes more";
  }
  return "";
}

std::string PauseText(const Subscription& subscription) {
  return subscription.drain_to != kNoSequence ? "the subscription to be resumed: it was drained"
                                              : "the subscription to be resumed: it is paused";
}

std::string AnswerText(const DeliveryWhereabouts& whereabouts, const Subscription& subscription) {
  if (whereabouts.to_sink) return "the dead-letter sink to take it";
  return subscription.pull ? "a consumer to acknowledge it" : "the function to answer";
}

}  // namespace

std::string WaitsFor(const DeliveryWhereabouts& whereabouts, const Subscription& subscription,
                     Sequence sequence) {
  const bool is_behind_drain =
      subscription.drain_to != kNoSequence && sequence > subscription.drain_to;
  const std::string block = whereabouts.paused || is_behind_drain
                                ? PauseText(subscription)
                                : BlockText(whereabouts.block, subscription);
  switch (whereabouts.place) {
    case DeliveryPlace::kDone: return "";
    case DeliveryPlace::kInFlight: return AnswerText(whereabouts, subscription);
    case DeliveryPlace::kHeld: return "an earlier event of its key";
    case DeliveryPlace::kRetrying:
      if (!block.empty()) return block;
      return whereabouts.to_sink ? "the next attempt to reach the dead-letter sink"
                                 : "its next attempt";
    case DeliveryPlace::kNotReached:
      return block.empty() ? "earlier events of the subscription" : block;
    case DeliveryPlace::kWaiting:
      return block.empty() ? "its turn: the rate, the deliveries in flight, and others before it"
                           : block;
  }
  return "";
}

}  // namespace penstock::broker
