#include "services/event-broker/api/async_invocation_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/validate.h"
#include "libs/rpc/server_unary.h"
#include "services/event-broker/codec/dead_letter_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::internal::v1;
using Lane = InvocationLanes::Lane;

constexpr int kLanesMax = 3;
constexpr std::int64_t kDelaySecondsMax = 366 * 86'400;

// Bounded before it is multiplied; the catalog checks the limits.
Microseconds ToMicros(const google::protobuf::Duration& duration) {
  const std::int64_t seconds = std::clamp<std::int64_t>(duration.seconds(), -1, kDelaySecondsMax);
  return Microseconds(seconds * 1'000'000 + duration.nanos() / 1'000);
}

absl::StatusOr<Lane> LaneOf(const std::string& space, const pb::InvocationLane& message) {
  RETURN_IF_ERROR(CheckResourceId("lanes.function", message.function()));
  Lane lane{LanePurpose::kCalls, space, message.function(), {}};
  RetryPolicy& retry = lane.retry;
  if (message.max_attempts() != 0) retry.attempts_max = message.max_attempts();
  if (message.has_initial_delay()) retry.delay_initial = ToMicros(message.initial_delay());
  if (message.has_max_delay()) retry.delay_max = ToMicros(message.max_delay());
  if (message.has_max_age()) retry.age_max = ToMicros(message.max_age());
  return lane;
}

// All subscriptions that the invocation and its result need.
absl::StatusOr<std::vector<Lane>> LanesOf(const pb::EnqueueInvocationRequest& request) {
  if (request.lanes_size() < 1 || request.lanes_size() > kLanesMax) {
    return FieldError("lanes", fmt::format("expected 1 to {}", kLanesMax));
  }
  std::vector<Lane> lanes;
  for (const pb::InvocationLane& message : request.lanes()) {
    ASSIGN_OR_RETURN(lanes.emplace_back(), LaneOf(request.space(), message));
  }
  if (request.callback()) {
    lanes.push_back({LanePurpose::kCallbacks, request.space(), request.lanes(0).function(), {}});
  }
  return lanes;
}

absl::StatusOr<AppendRequest> RecordOf(const PublishRules& rules,
                                       const pb::EnqueueInvocationRequest& request) {
  io::cloudevents::v1::CloudEvent event;
  if (!event.ParseFromString(request.event()) || event.type() != kInvocationRequested) {
    return FieldError("event", fmt::format("is no CloudEvent of type {}", kInvocationRequested));
  }
  cloudevents::Limits limits;
  limits.max_data_bytes = rules.data_bytes_max;
  if (const absl::Status status = cloudevents::Validate(event, limits); !status.ok()) {
    return UnderField("event", status);
  }
  AppendRequest record;
  record.space = request.space();
  record.type = event.type();
  record.source = event.source();
  record.id = event.id();
  record.body = SharedBytes(request.event());
  return record;
}

pb::FindInvocationResponse::Place PlaceOf(DeliveryPlace place) {
  switch (place) {
    case DeliveryPlace::kInFlight: return pb::FindInvocationResponse::IN_FLIGHT;
    case DeliveryPlace::kDone: return pb::FindInvocationResponse::DONE;
    default: return pb::FindInvocationResponse::WAITING;
  }
}

void FillError(const std::vector<AttemptRecord>& log, pb::FindInvocationResponse* response) {
  if (log.empty()) return;
  const DeliveryError& error = log.back().error;
  response->mutable_last_error()->set_category(error.category);
  response->mutable_last_error()->set_type(error.type);
  response->mutable_last_error()->set_message(error.message);
}

absl::Status NoInvocation(const std::string& delivery_id) {
  return absl::NotFoundError(fmt::format(
      "there is no invocation with the delivery id \"{}\" (any more)", delivery_id.substr(0, 80)));
}

}  // namespace

absl::StatusOr<AsyncInvocationApi::Target> AsyncInvocationApi::TargetOf(
    const std::string& space, const std::string& delivery_id) const {
  const auto key = ParseDeliveryId(delivery_id);
  const auto subscription = key ? ports_.catalog.FindByUid(key->uid) : std::nullopt;
  if (!subscription || subscription->space != space ||
      subscription->purpose() != LanePurpose::kCalls) {
    return NoInvocation(delivery_id);
  }
  return Target{*key, *subscription};
}

void AsyncInvocationApi::Append(AppendRequest request, const std::string& function,
                                std::function<void(absl::StatusOr<Target>)> done) {
  auto subscription =
      ports_.catalog.Get(request.space, InvocationLaneId(LanePurpose::kCalls, function));
  // Deleted by somebody since a moment ago.
  if (!subscription.ok()) {
    return done(absl::UnavailableError("the function's subscription was deleted; try again"));
  }
  std::vector<AppendRequest> requests;
  requests.push_back(std::move(request));
  const auto shared =
      std::make_shared<std::function<void(absl::StatusOr<Target>)>>(std::move(done));
  const absl::Status queued = ports_.log.Append(
      std::move(requests),
      [shared, subscription = *std::move(subscription)](const std::vector<AppendResult>& results) {
        const AppendResult& result = results.front();
        if (result.verdict == AppendVerdict::kFailed) return (*shared)(result.status);
        const bool is_duplicate = result.verdict == AppendVerdict::kDuplicate;
        (*shared)(Target{{subscription.uid, result.sequence}, subscription, is_duplicate});
      });
  if (!queued.ok()) (*shared)(queued);
}

grpc::ServerUnaryReactor* AsyncInvocationApi::EnqueueInvocation(
    grpc::CallbackServerContext* context, const pb::EnqueueInvocationRequest* request,
    pb::EnqueueInvocationResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::EnqueueInvocationRequest& given, pb::EnqueueInvocationResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = auth_->Check(call); !peer.ok()) return done(peer);
        const auto space = rules_.ResolveSpace(given.space());
        if (!space.ok()) return done(space.status());
        auto lanes = LanesOf(given);
        if (!lanes.ok()) return done(lanes.status());
        auto record = RecordOf(rules_, given);
        if (!record.ok()) return done(record.status());
        const auto shared = std::make_shared<AppendRequest>(*std::move(record));
        lanes_.Ensure(*std::move(lanes), [this, shared, function = given.lanes(0).function(),
                                          answer, done](const absl::Status& status) {
          if (!status.ok()) return done(status);
          Append(std::move(*shared), function,
                 [answer, done](const absl::StatusOr<Target>& target) {
                   if (!target.ok()) return done(target.status());
                   answer->set_delivery_id(target->key.Id());
                   answer->set_sequence(static_cast<std::int64_t>(target->key.sequence));
                   answer->set_duplicate(target->is_duplicate);
                   done(absl::OkStatus());
                 });
        });
      });
}

grpc::ServerUnaryReactor* AsyncInvocationApi::FindInvocation(
    grpc::CallbackServerContext* context, const pb::FindInvocationRequest* request,
    pb::FindInvocationResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::FindInvocationRequest& given, pb::FindInvocationResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = auth_->Check(call); !peer.ok()) return done(peer);
        auto target = TargetOf(given.space(), given.delivery_id());
        if (!target.ok()) return done(target.status());
        answer->set_function(target->subscription.FunctionName(target->subscription.function));
        const DeliveryKey key = target->key;
        ports_.delivery.FindDelivery(key, [this, key, answer,
                                           done](const std::optional<DeliveryWhereabouts>& found) {
          // A subscription that was made a moment ago is not known there yet.
          answer->set_place(found ? PlaceOf(found->place) : pb::FindInvocationResponse::WAITING);
          if (found) {
            answer->set_attempts(found->attempts_sent);
            FillError(found->log, answer);
          }
          if (answer->place() != pb::FindInvocationResponse::DONE) return done(absl::OkStatus());
          ports_.dead_letters.GetDeadLetter(
              key, [answer, done](const absl::StatusOr<StoredDeadLetter>& letter) {
                if (letter.ok()) {
                  answer->set_place(pb::FindInvocationResponse::DEAD);
                  answer->set_attempts(letter->delivery.attempts);
                  FillError(letter->delivery.log, answer);
                }
                const bool is_known = letter.ok() || absl::IsNotFound(letter.status());
                done(is_known ? absl::OkStatus() : letter.status());
              });
        });
      });
}

grpc::ServerUnaryReactor* AsyncInvocationApi::CancelInvocation(
    grpc::CallbackServerContext* context, const pb::CancelInvocationRequest* request,
    pb::CancelInvocationResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CancelInvocationRequest& given, pb::CancelInvocationResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = auth_->Check(call); !peer.ok()) return done(peer);
        auto target = TargetOf(given.space(), given.delivery_id());
        if (!target.ok()) return done(target.status());
        answer->set_function(target->subscription.FunctionName(target->subscription.function));
        const DeliveryKey key = target->key;
        // Asked before, since afterwards nothing is known of it.
        ports_.delivery.FindDelivery(
            key, [this, key, answer, done](const std::optional<DeliveryWhereabouts>& found) {
              if (found) answer->set_attempts(found->attempts_sent);
              ports_.delivery.Cancel(key, [answer, done](CancelVerdict verdict) {
                switch (verdict) {
                  case CancelVerdict::kInFlight: answer->set_in_flight(true); [[fallthrough]];
                  case CancelVerdict::kCancelled: return done(absl::OkStatus());
                  case CancelVerdict::kNotReached:
                  case CancelVerdict::kUnknown:
                    return done(WithRetryAfter(
                        absl::UnavailableError(
                            "delivery has not come to the invocation yet; try again"),
                        absl::Seconds(1)));
                  case CancelVerdict::kOver:
                  case CancelVerdict::kOrdered: break;
                }
                done(absl::FailedPreconditionError("the execution has ended"));
              });
            });
      });
}

}  // namespace penstock::broker
