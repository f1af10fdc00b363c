// The fake server's methods about deliveries: replays, dead letters, explanations, consumers.
#include <algorithm>
#include <deque>
#include <memory>

#include "absl/status/status.h"
#include "libs/rpc/bidi_server.h"
#include "libs/rpc/status.h"
#include "tests/unit/tools/penstock/fake_server.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                 const absl::Status& status = absl::OkStatus()) {
  auto* const reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpcStatus(status));
  return reactor;
}

void FillLetter(const std::string& name, pb::DeadLetter* letter) {
  letter->set_name(name);
  letter->set_etag("etag-0");
  letter->mutable_event()->set_id("e1");
  letter->mutable_event()->set_type("order.paid");
  letter->mutable_event()->set_source("/shop");
  letter->mutable_event()->set_spec_version("1.0");
  letter->mutable_event()->set_text_data("old");
}

void FillReplay(const std::string& name, pb::Replay::State state, pb::Replay* replay) {
  replay->set_name(name);
  replay->set_state(state);
  replay->set_from_sequence(1);
  replay->set_to_sequence(100);
  replay->set_floor_sequence(50);
  replay->set_matched_count(10);
  replay->set_delivered_count(7);
}

}  // namespace

grpc::ServerUnaryReactor* FakeCatalog::DrainSubscription(
    grpc::CallbackServerContext* context, const pb::DrainSubscriptionRequest* request,
    pb::Subscription* response) {
  response->set_name(request->name());
  response->set_state(pb::Subscription::DRAINING);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::GetSubscriptionStatus(
    grpc::CallbackServerContext* context, const pb::GetSubscriptionStatusRequest*,
    pb::SubscriptionStatus* response) {
  response->set_lag(17);
  response->set_state_reason("KEY_BACKLOG");
  response->add_blocked_keys("customer-7");
  response->set_breaker(pb::SubscriptionStatus::HALF_OPEN);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::ReplaySubscription(
    grpc::CallbackServerContext* context, const pb::ReplaySubscriptionRequest* request,
    pb::ReplaySubscriptionResponse* response) {
  const std::lock_guard lock(mutex);
  replayed = *request;
  if (request->dry_run()) {
    response->set_matched_count(42);
  } else {
    response->set_replay_id("r1");
    FillReplay(request->name() + "/replays/r1", pb::Replay::RUNNING, response->mutable_replay());
  }
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::GetReplay(grpc::CallbackServerContext* context,
                                                 const pb::GetReplayRequest* request,
                                                 pb::Replay* response) {
  const std::lock_guard lock(mutex);
  FillReplay(request->name(), ++replay_asked < 2 ? pb::Replay::RUNNING : pb::Replay::DONE,
             response);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::CancelReplay(grpc::CallbackServerContext* context,
                                                    const pb::CancelReplayRequest* request,
                                                    pb::Replay* response) {
  FillReplay(request->name(), pb::Replay::CANCELLED, response);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::GetDeadLetter(grpc::CallbackServerContext* context,
                                                     const pb::GetDeadLetterRequest* request,
                                                     pb::DeadLetter* response) {
  FillLetter(request->name(), response);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::UpdateDeadLetter(grpc::CallbackServerContext* context,
                                                        const pb::UpdateDeadLetterRequest* request,
                                                        pb::DeadLetter* response) {
  const std::lock_guard lock(mutex);
  edited = *request;
  *response = request->dead_letter();
  response->mutable_event()->set_id("e2");
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeCatalog::PurgeDeadLetters(grpc::CallbackServerContext* context,
                                                        const pb::PurgeDeadLettersRequest* request,
                                                        pb::PurgeDeadLettersResponse* response) {
  const std::lock_guard lock(mutex);
  purged = *request;
  response->set_purged_count(std::min(letters_left, 3));
  letters_left -= static_cast<int>(response->purged_count());
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeBroker::ExplainEvent(grpc::CallbackServerContext* context,
                                                   const pb::ExplainEventRequest* request,
                                                   pb::ExplainEventResponse* response) {
  const std::lock_guard lock(mutex);
  explain_request = *request;
  auto& event = *response->mutable_event();
  event.set_sequence(1);
  event.mutable_event()->set_id("e1");
  event.mutable_event()->set_type("order.paid");
  // Two pages: what matched, and what did not.
  auto& one = *response->add_subscriptions();
  if (request->page_token().empty()) {
    const bool is_first = ++explained[request->id()] == 1;
    one.set_subscription("spaces/default/subscriptions/s1");
    one.set_subscription_uid("uid1");
    one.set_matched(true);
    one.set_clause("eventType");
    one.set_delivery_state(is_first ? pb::SubscriptionExplanation::RETRYING
                                    : pb::SubscriptionExplanation::DELIVERED);
    one.set_attempt_count(is_first ? 1 : 2);
    if (is_first) one.set_waits_for("its next attempt");
    auto& attempt = *one.add_attempts();
    attempt.set_attempt(1);
    attempt.set_http_status(503);
    attempt.mutable_error()->set_type("HttpStatus");
    attempt.mutable_error()->set_message("HTTP 503");
    response->set_next_page_token("more");
  } else {
    one.set_subscription("spaces/default/subscriptions/s2");
    one.set_clause("filters[0].exact.source");
  }
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeBroker::ListScheduledEvents(
    grpc::CallbackServerContext* context, const pb::ListScheduledEventsRequest* request,
    pb::ListScheduledEventsResponse* response) {
  auto& scheduled = *response->add_scheduled_events();
  scheduled.set_name(request->parent() + "/scheduledEvents/k1");
  scheduled.mutable_event()->set_type("reminder");
  scheduled.mutable_due_time()->set_seconds(1'800'000'000);
  return Finish(context);
}

grpc::ServerUnaryReactor* FakeBroker::CancelScheduledEvent(
    grpc::CallbackServerContext* context, const pb::CancelScheduledEventRequest* request,
    pb::ScheduledEvent* response) {
  const std::lock_guard lock(mutex);
  cancelled = request->name();
  response->set_name(request->name());
  return Finish(context);
}

grpc::ServerBidiReactor<pb::SubscribeRequest, pb::SubscribeResponse>* FakeBroker::Subscribe(
    grpc::CallbackServerContext* context) {
  using Stream = rpc::BidiServer<pb::SubscribeRequest, pb::SubscribeResponse>;
  return Stream::Serve(context, [this](const std::shared_ptr<Stream>& stream) {
    auto credit = std::make_shared<int>(0);  // Guarded by `mutex`.
    Stream::Handlers handlers;
    handlers.fill = [this, credit](pb::SubscribeResponse& message) {
      const std::lock_guard lock(mutex);
      if (*credit == 0) return false;
      for (; *credit > 0; --*credit) {
        auto& received = *message.add_events();
        received.set_delivery_id("uid1-" + std::to_string(++sent));
        received.set_attempt(1);
        received.mutable_event()->set_sequence(sent);
        received.mutable_event()->mutable_event()->set_type("job.new");
      }
      return true;
    };
    handlers.on_message = [this, credit,
                           weak = std::weak_ptr(stream)](const pb::SubscribeRequest& message) {
      {
        const std::lock_guard lock(mutex);
        if (!message.subscription().empty()) subscribed = message.subscription();
        *credit += message.credit();
        for (const auto& id : message.acks()) acknowledged.push_back(id);
        for (const auto& nack : message.nacks()) refused.push_back(nack);
      }
      if (const auto running = weak.lock()) running->Notify();
    };
    handlers.on_half_close = [weak = std::weak_ptr(stream)] {
      if (const auto running = weak.lock()) running->Finish(absl::OkStatus());
    };
    return handlers;
  });
}

}  // namespace penstock::cli
