// Pause, resume, drain and status.
#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr std::size_t kBlockedKeysMax = 20;

const char* ReasonText(LaneBlock block) {
  switch (block) {
    case LaneBlock::kNone: return "";
    case LaneBlock::kKeyBacklog: return "KEY_BACKLOG";
    case LaneBlock::kDeadLettersFull: return "DEAD_LETTERS_FULL";
    case LaneBlock::kRetriesFull: return "RETRIES_FULL";
    case LaneBlock::kBreakerOpen: return "BREAKER_OPEN";
    case LaneBlock::kNoExecutor: return "NO_EXECUTOR";
    case LaneBlock::kNoConsumer: return "NO_CONSUMER";
  }
  return "";
}

pb::SubscriptionStatus::Breaker ToProto(BreakerState breaker) {
  switch (breaker) {
    case BreakerState::kClosed: return pb::SubscriptionStatus::CLOSED;
    case BreakerState::kOpen: return pb::SubscriptionStatus::OPEN;
    case BreakerState::kHalfOpen: return pb::SubscriptionStatus::HALF_OPEN;
  }
  return pb::SubscriptionStatus::BREAKER_UNSPECIFIED;
}

void FillProgress(const SubscriptionProgress& progress, const Subscription& subscription,
                  Sequence head, pb::SubscriptionStatus& status) {
  status.set_floor_sequence(static_cast<std::int64_t>(progress.floor));
  status.set_lag(static_cast<std::int64_t>(head > progress.floor ? head - progress.floor : 0));
  status.set_in_flight(static_cast<std::int32_t>(progress.in_flight));
  status.set_retrying(static_cast<std::int64_t>(progress.retrying));
  status.set_waiting(static_cast<std::int64_t>(progress.waiting));
  status.set_held(static_cast<std::int64_t>(progress.held));
  status.set_catching_up(progress.catching_up);
  status.set_delivered_per_second(progress.delivered_per_second);
  status.set_failed_per_second(progress.failed_per_second);
  status.set_state_reason(ReasonText(progress.block));
  if (progress.oldest_pending) {
    SetTimestamp(*progress.oldest_pending, status.mutable_oldest_pending_time());
  }
  if (subscription.pull) return;
  status.set_breaker(ToProto(progress.breaker));
  status.set_window(progress.window);
}

}  // namespace

absl::StatusOr<Subscription> EventCatalogApi::Deliverable(const std::string& name) const {
  ASSIGN_OR_RETURN(const auto parsed, NameOf("name", name));
  ASSIGN_OR_RETURN(Subscription found, ports_.catalog.Get(parsed.first, parsed.second));
  if (!found.http) return found;
  return absl::FailedPreconditionError("name: a subscription to a path has no deliveries to steer");
}

void EventCatalogApi::Read(const rpc::ServerDone& done, std::function<void()> work) {
  if (ports_.readers.TryPost(std::move(work))) return;
  done(absl::ResourceExhaustedError("too many reads wait; try again"));
}

void EventCatalogApi::SteerSubscription(Steer steer, const std::string& name,
                                        rpc::CallContext& context, pb::Subscription* response,
                                        const rpc::ServerDone& done) {
  const auto found = Deliverable(name);
  if (!found.ok()) return done(found.status());
  (ports_.catalog.*steer)(found->space, found->id, Answer(context, done, response));
}

grpc::ServerUnaryReactor* EventCatalogApi::PauseSubscription(
    grpc::CallbackServerContext* context, const pb::PauseSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::PauseSubscriptionRequest& given, pb::Subscription* answer,
                                rpc::CallContext& call, const rpc::ServerDone& done) {
                           SteerSubscription(&SubscriptionCatalog::Pause, given.name(), call,
                                             answer, done);
                         });
}

grpc::ServerUnaryReactor* EventCatalogApi::ResumeSubscription(
    grpc::CallbackServerContext* context, const pb::ResumeSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ResumeSubscriptionRequest& given, pb::Subscription* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        SteerSubscription(&SubscriptionCatalog::Resume, given.name(), call, answer, done);
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::DrainSubscription(
    grpc::CallbackServerContext* context, const pb::DrainSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::DrainSubscriptionRequest& given, pb::Subscription* answer,
                                rpc::CallContext& call, const rpc::ServerDone& done) {
                           SteerSubscription(&SubscriptionCatalog::Drain, given.name(), call,
                                             answer, done);
                         });
}

std::vector<std::string> EventCatalogApi::KeysOf(const Subscription& subscription,
                                                 const std::vector<Sequence>& sequences) const {
  std::vector<std::string> keys;
  if (!subscription.ordering) return keys;
  for (const Sequence sequence : sequences) {
    if (keys.size() == kBlockedKeysMax) break;
    auto record = ports_.log.ReadCached(sequence);
    if (!record) {
      auto read = ports_.log.Read(sequence);
      if (!read.ok()) continue;  // The log has let it go; the key cannot be told any more.
      record = *std::move(read);
    }
    const CloudEventAttributes attributes(*record);
    const auto key = attributes.Attribute(subscription.ordering->by);
    if (key && std::find(keys.begin(), keys.end(), *key) == keys.end()) keys.emplace_back(*key);
  }
  return keys;
}

grpc::ServerUnaryReactor* EventCatalogApi::GetSubscriptionStatus(
    grpc::CallbackServerContext* context, const pb::GetSubscriptionStatusRequest* request,
    pb::SubscriptionStatus* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetSubscriptionStatusRequest& given, pb::SubscriptionStatus* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto name = NameOf("name", given.name());
        if (!name.ok()) return done(name.status());
        const auto found = ports_.catalog.Get(name->first, name->second);
        if (!found.ok()) return done(found.status());
        if (found->pull && ports_.consumers) {
          const Consumers consumers = ports_.consumers(found->uid);
          answer->set_consumers(consumers.count);
          answer->set_consumer_credit(consumers.credit);
        }
        const auto count_letters = [this, answer, done, uid = found->uid] {
          ports_.store.CountDeadLetters(uid,
                                        [answer, done](const absl::StatusOr<std::int64_t>& count) {
                                          if (count.ok()) answer->set_dead_letters(*count);
                                          done(count.status());
                                        });
        };
        ports_.delivery.GetProgress(
            found->uid, [this, answer, done, count_letters, subscription = *found](
                            const std::optional<SubscriptionProgress>& progress) {
              const Sequence head = ports_.log.head();
              answer->set_head_sequence(static_cast<std::int64_t>(head));
              if (progress) FillProgress(*progress, subscription, head, *answer);
              if (!progress || progress->blocked.empty()) return count_letters();
              Read(done, [this, answer, count_letters, subscription, blocked = progress->blocked] {
                for (std::string& key : KeysOf(subscription, blocked)) {
                  answer->add_blocked_keys(std::move(key));
                }
                count_letters();
              });
            });
      });
}

}  // namespace penstock::broker
