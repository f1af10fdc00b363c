// What the shell sends: to executors, to consumers, to dead-letter sinks.
#include <algorithm>
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/delivery/delivery_shell.h"
#include "services/event-broker/delivery/outgoing_event.h"

namespace penstock::broker {

void DeliveryShell::PerformSends(std::vector<SendOrder> sends) {
  std::vector<Outgoing> cold;
  for (SendOrder& send : sends) {
    Outgoing outgoing;
    outgoing.events.push_back({send.key, absl::OkStatus(), {}, {}});
    for (const Sequence sequence : send.batch) {
      outgoing.events.push_back({{send.key.uid, sequence}, absl::OkStatus(), {}, {}});
    }
    outgoing.send = std::move(send);
    if (outgoing.send.redriven) {
      LoadRedriven(std::move(outgoing));
      continue;
    }
    bool cached = true;
    for (Loaded& event : outgoing.events) {
      const auto record = ports_.log.ReadCached(event.key.sequence);
      cached = record.has_value();
      if (!cached) break;
      event.body = record->Body();
      event.append_time = record->append_time;
    }
    if (cached) {
      Dispatch(std::move(outgoing));
    } else {
      for (const Loaded& event : outgoing.events) {
        loading_.insert({event.key, outgoing.send.attempt});
      }
      cold.push_back(std::move(outgoing));
    }
  }
  if (!cold.empty()) LoadCold(std::move(cold));
}

void DeliveryShell::LoadCold(std::vector<Outgoing> cold) {
  auto loads = std::make_shared<std::vector<Outgoing>>(std::move(cold));
  background_.Run(Background::Lane::kLoad,
                  [this, loads, loader = loader_]() -> Background::Message {
                    std::vector<Loaded*> events;
                    for (Outgoing& outgoing : *loads) {
                      for (Loaded& event : outgoing.events) events.push_back(&event);
                    }
                    std::sort(events.begin(), events.end(), [](const Loaded* a, const Loaded* b) {
                      return a->key.sequence < b->key.sequence;
                    });
                    for (Loaded* event : events) {
                      const auto record = loader->Read(event->key.sequence);
                      event->status = record.status();
                      if (!record.ok()) continue;
                      event->body = record->Body();
                      event->append_time = record->append_time;
                    }
                    return [this, loads] { TakeLoaded(std::move(*loads)); };
                  });
}

// The dead letter holds the event as it is now: edited perhaps, and also when the log has let it
// go. Where the store fails to give it, the log's event would be the wrong one.
void DeliveryShell::LoadRedriven(Outgoing outgoing) {
  loading_.insert({outgoing.send.key, outgoing.send.attempt});
  const DeliveryKey key = outgoing.send.key;
  auto shared = std::make_shared<Outgoing>(std::move(outgoing));
  ports_.store.GetDeadLetter(key, [this, shared](absl::StatusOr<StoredDeadLetter> letter) {
    background_.Post([this, shared, letter = std::move(letter)] {
      if (!letter.ok() && !absl::IsNotFound(letter.status())) {
        return RejectUnread(*shared, letter.status());
      }
      const bool has_event = letter.ok() && !letter->event.empty();
      if (has_event) {
        shared->events.front().body = SharedBytes(letter->event);
        shared->events.front().append_time = letter->delivery.append_time;
      }
      std::vector<Outgoing> one;
      one.push_back(std::move(*shared));
      has_event ? TakeLoaded(std::move(one)) : LoadCold(std::move(one));
    });
  });
}

void DeliveryShell::RejectUnread(const Outgoing& outgoing, const absl::Status& status) {
  const SendOrder& send = outgoing.send;
  if (loading_.erase({send.key, send.attempt}) == 0) return;  // Cancelled.
  log::Error("a dead letter that is to be redriven cannot be read",
             {{"delivery", send.key.Id()}, {"reason", std::string(status.message())}});
  Fail(send.key, send.attempt, DeliveryOutcome::kRejected,
       {"SystemError", "EventUnreadable", std::string(status.message())});
}

void DeliveryShell::TakeLoaded(std::vector<Outgoing> loaded) {
  for (Outgoing& outgoing : loaded) {
    // Cancelled ones have left the set.
    std::erase_if(outgoing.events, [&](const Loaded& event) {
      return loading_.erase({event.key, outgoing.send.attempt}) == 0;
    });
    if (!outgoing.events.empty()) Dispatch(std::move(outgoing));
  }
}

// True when the attempt has ended without being sent.
bool DeliveryShell::FailsBeforeSending(const SendOrder& send, const Loaded& event) {
  if (!event.status.ok()) {
    log::Error("an event that is to be delivered cannot be read",
               {{"delivery", event.key.Id()}, {"reason", std::string(event.status.message())}});
    Fail(event.key, send.attempt,
         IsLost(event.status) ? DeliveryOutcome::kGone : DeliveryOutcome::kRejected,
         {"SystemError", "EventUnreadable", std::string(event.status.message())});
    return true;
  }
  if (!send.to_sink && HasExpired(event.body.view(), ports_.clock.Wall())) {
    Fail(event.key, send.attempt, DeliveryOutcome::kExpired,
         {"SystemError", "EventExpired", "the event's expirytime has passed"});
    return true;
  }
  return false;
}

void DeliveryShell::Dispatch(Outgoing outgoing) {
  const SendOrder& send = outgoing.send;
  std::vector<Loaded>& events = outgoing.events;
  std::erase_if(events, [&](const Loaded& event) { return FailsBeforeSending(send, event); });
  if (events.empty()) return;
  const auto at = subscriptions_.find(SubscriptionOfLane(send.key.uid));
  if (at == subscriptions_.end()) {
    for (const Loaded& event : events) {
      Fail(event.key, send.attempt, DeliveryOutcome::kRejected,
           {"SystemError", "SubscriptionGone", "the subscription was deleted"});
    }
    return;
  }
  const Subscription& subscription = *at->second;
  sent_ += events.size();
  if (send.to_sink) return DispatchToSink(send, events.front(), subscription);
  if (subscription.pull) return DispatchToPull(send, events.front(), subscription);
  InvocationOrder order = MakeOrder(send, subscription);
  order.key = events.front().key;
  order.event = std::move(events.front().body);
  for (std::size_t i = 1; i < events.size(); ++i) {
    order.batch.push_back({std::move(events[i].key), std::move(events[i].body)});
  }
  orders_.push_back(std::move(order));
}

InvocationOrder DeliveryShell::MakeOrder(const SendOrder& send,
                                         const Subscription& subscription) const {
  InvocationOrder order;
  order.key = send.key;
  order.attempt = send.attempt;
  order.epoch = ports_.store.epoch();
  order.subscription = subscription.Name();
  order.replay = !ReplayOfLane(send.key.uid).empty();
  order.purpose = subscription.purpose();
  if (send.to_sink) {
    order.function = subscription.FunctionName(subscription.dead_letter_sink.function);
    return order;
  }
  const std::vector<std::string> targets = subscription.Targets();
  const auto member = static_cast<std::size_t>(send.member);
  order.function = subscription.FunctionName(member < targets.size() ? targets[member] : "");
  order.timeout = subscription.timeout;
  order.function_revision_min = subscription.function_revision;
  order.ordered = subscription.ordering.has_value();
  order.batched = subscription.batching.events_max > 1;
  return order;
}

void DeliveryShell::DispatchToPull(const SendOrder& send, const Loaded& event,
                                   const Subscription& subscription) {
  if (ports_.pull == nullptr) {
    return Fail(event.key, send.attempt, DeliveryOutcome::kRejected,
                {"SystemError", "NoConsumer", "nobody pulls"});
  }
  PullOrder order;
  order.key = event.key;
  order.attempt = send.attempt;
  order.subscription = subscription.Name();
  order.ack_timeout = subscription.pull->ack_timeout;
  order.append_time = event.append_time;
  order.event = event.body;
  order.replay = !ReplayOfLane(send.key.uid).empty();
  pull_orders_.push_back(std::move(order));
}

void DeliveryShell::DispatchToSink(const SendOrder& send, const Loaded& event,
                                   const Subscription& subscription) {
  const DeadDelivery dead = send.dead.value_or(DeadDelivery{.key = send.key});
  if (subscription.purpose() == LanePurpose::kCalls) {
    return PublishFailure(send, event, dead, subscription);
  }
  const DeadLetterSink& sink = subscription.dead_letter_sink;
  if (sink.kept()) {
    return Fail(send.key, send.attempt, DeliveryOutcome::kPermanent,
                {"SystemError", "NoSink", "the subscription has no dead-letter sink any more"});
  }
  if (!sink.function.empty()) {
    auto bytes = MakeSinkEvent(event.body.view(), dead);
    if (!bytes.ok()) {
      return Fail(send.key, send.attempt, DeliveryOutcome::kPermanent,
                  {"SystemError", "EventUnreadable", std::string(bytes.status().message())});
    }
    InvocationOrder order = MakeOrder(send, subscription);
    order.event = SharedBytes(*std::move(bytes));
    orders_.push_back(std::move(order));
    return;
  }
  if (HopsOf(event.body.view()) >= kHopsMax) {
    return Fail(send.key, send.attempt, DeliveryOutcome::kHopLimit,
                {"SystemError", "HopLimit", "dead letters of dead letters went round too often"});
  }
  auto request = MakeSinkRecord(event.body.view(), dead, subscription);
  if (!request.ok()) {
    return Fail(send.key, send.attempt, DeliveryOutcome::kPermanent,
                {"SystemError", "EventUnreadable", std::string(request.status().message())});
  }
  Publish({*std::move(request),
           [this, key = send.key, attempt = send.attempt](const AppendResult& published) {
             if (published.verdict == AppendVerdict::kFailed) {
               return Fail(key, attempt, DeliveryOutcome::kPermanent,
                           {"SystemError", "SinkRefused", std::string(published.status.message())});
             }
             Fail(key, attempt, DeliveryOutcome::kSucceeded, {});
           }});
}

// An invocation that says where to goes there; others become dead letters.
void DeliveryShell::PublishFailure(const SendOrder& send, const Loaded& event,
                                   const DeadDelivery& dead, const Subscription& subscription) {
  auto requests = MakeFailures(event.body.view(), dead, subscription);
  if (!requests.ok() || requests->empty()) {
    return Fail(send.key, send.attempt, DeliveryOutcome::kPermanent,
                {"SystemError", "NoSink",
                 requests.ok() ? "the invocation names no destination for failures"
                               : std::string(requests.status().message())});
  }
  PublishAll(*std::move(requests),
             [this, key = send.key, attempt = send.attempt](const absl::Status& status) {
               if (status.ok()) return Fail(key, attempt, DeliveryOutcome::kSucceeded, {});
               Fail(key, attempt, DeliveryOutcome::kPermanent,
                    {"SystemError", "SinkRefused", std::string(status.message())});
             });
}

// Each attempt still gets its result, whether it was sent or not.
void DeliveryShell::PerformCancel(const DeliveryKey& key, int attempt) {
  if (loading_.erase({key, attempt}) > 0) {
    return Fail(key, attempt, DeliveryOutcome::kRejected,
                {"SystemError", "Cancelled", "given up before it was sent"});
  }
  const Subscription* subscription = FindSubscription(SubscriptionOfLane(key.uid));
  if (subscription != nullptr && subscription->pull && ports_.pull != nullptr) {
    ports_.pull->Cancel(key, attempt);
  }
  ports_.invoker.Cancel(key, attempt);
}

// Hands over what was collected.
void DeliveryShell::Leave() {
  if (!orders_.empty()) ports_.invoker.Send(std::exchange(orders_, {}));
  if (!pull_orders_.empty()) ports_.pull->Send(std::exchange(pull_orders_, {}));
}

}  // namespace penstock::broker
