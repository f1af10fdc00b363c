// The schedule's part of the data plane.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/event_broker_api.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr char kCollection[] = "scheduledEvents";

absl::Status FillScheduled(const ScheduledEvent& event, pb::ScheduledEvent& message) {
  message.set_name(ResourceName{event.space, kCollection, event.key}.ToString());
  SetTimestamp(event.due, message.mutable_due_time());
  SetTimestamp(event.create_time, message.mutable_create_time());
  if (message.mutable_event()->ParseFromString(event.body)) return absl::OkStatus();
  return absl::DataLossError(fmt::format("scheduled event \"{}\" cannot be read", message.name()));
}

// For GetScheduled and CancelScheduled.
StoreResult<ScheduledEvent> AnswerWith(pb::ScheduledEvent* answer, const rpc::ServerDone& done) {
  return [answer, done](const absl::StatusOr<ScheduledEvent>& event) {
    done(event.ok() ? FillScheduled(*event, *answer) : event.status());
  };
}

}  // namespace

grpc::ServerUnaryReactor* EventBrokerApi::ListScheduledEvents(
    grpc::CallbackServerContext* context, const pb::ListScheduledEventsRequest* request,
    pb::ListScheduledEventsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListScheduledEventsRequest& given, pb::ListScheduledEventsResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const std::string text = fmt::format("scheduled\n{}\n{}", given.parent(), given.event_id());
        const auto make_query = [&]() -> absl::StatusOr<ScheduledQuery> {
          ScheduledQuery query;
          ASSIGN_OR_RETURN(const std::string space, ParseSpaceParent("parent", given.parent()));
          ASSIGN_OR_RETURN(query.space, rules_.ResolveSpace(space));
          ASSIGN_OR_RETURN(query.limit, CheckPageSize(given.page_size()));
          ASSIGN_OR_RETURN(query.after, ParsePageToken(text, given.page_token()));
          if (!given.event_id().empty()) query.event_id = given.event_id();
          return query;
        };
        auto query = make_query();
        if (!query.ok()) return done(query.status());
        schedule_.ListScheduled(
            *std::move(query), [answer, done, text](const absl::StatusOr<ScheduledPage>& page) {
              if (!page.ok()) return done(page.status());
              for (const ScheduledEvent& event : page->events) {
                const absl::Status filled = FillScheduled(event, *answer->add_scheduled_events());
                if (!filled.ok()) return done(filled);
              }
              if (!page->next.empty()) {
                answer->set_next_page_token(MakePageToken(text, page->next));
              }
              done(absl::OkStatus());
            });
      });
}

grpc::ServerUnaryReactor* EventBrokerApi::GetScheduledEvent(
    grpc::CallbackServerContext* context, const pb::GetScheduledEventRequest* request,
    pb::ScheduledEvent* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetScheduledEventRequest& given, pb::ScheduledEvent* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto name = ParseResourceName("name", kCollection, given.name());
        if (!name.ok()) return done(name.status());
        schedule_.GetScheduled(name->space, name->id, AnswerWith(answer, done));
      });
}

grpc::ServerUnaryReactor* EventBrokerApi::CancelScheduledEvent(
    grpc::CallbackServerContext* context, const pb::CancelScheduledEventRequest* request,
    pb::ScheduledEvent* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CancelScheduledEventRequest& given, pb::ScheduledEvent* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto name = ParseResourceName("name", kCollection, given.name());
        if (!name.ok()) return done(name.status());
        schedule_.CancelScheduled(name->space, name->id, AnswerWith(answer, done));
      });
}

}  // namespace penstock::broker
