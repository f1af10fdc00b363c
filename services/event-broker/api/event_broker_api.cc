#include "services/event-broker/api/event_broker_api.h"

#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/server_unary.h"
#include "libs/rpc/unary_server_wire.h"
#include "services/event-broker/api/event_reader.h"
#include "services/event-broker/api/publish_stream.h"
#include "services/event-broker/api/tail.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kBatchEventsMax = 256;

// The error of a receipt, for a call that has no receipts of refused events.
absl::Status RefusalOf(const pb::PublishReceipt& receipt) {
  if (receipt.error_code() == 0) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(receipt.error_code()), receipt.error_message());
  if (!receipt.error_reason().empty()) status = WithReason(status, receipt.error_reason());
  if (absl::IsResourceExhausted(status)) status = WithRetryAfter(status, absl::Seconds(1));
  return status;
}

}  // namespace

grpc::ServerUnaryReactor* EventBrokerApi::Publish(grpc::CallbackServerContext* context,
                                                  const pb::PublishRequest* request,
                                                  pb::PublishReceipt* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::PublishRequest& given, pb::PublishReceipt* receipt, rpc::CallContext&,
             const rpc::ServerDone& done) { TakeOne(given, receipt, done); });
}

void EventBrokerApi::TakeOne(const pb::PublishRequest& request, pb::PublishReceipt* receipt,
                             const rpc::ServerDone& done) {
  if (!request.has_event()) return done(FieldError("event", "must be set"));
  auto event = request.event();
  auto checked = CheckEvent(rules_, request.space(), clock_.Wall(), event);
  if (!checked.ok()) return done(checked.status());
  if (checked->due) {
    std::vector<CheckedEvent> events;
    events.push_back(*std::move(checked));
    return intake_.Take(std::move(events), [receipt, done](ScheduleIntake::Receipts receipts) {
      *receipt = std::move(receipts.front());
      done(RefusalOf(*receipt));
    });
  }
  const std::string id = checked->append.id;
  std::vector<AppendRequest> requests;
  requests.push_back(std::move(checked->append));
  const absl::Status queued = log_.Append(
      std::move(requests), [this, receipt, done, id](const std::vector<AppendResult>& results) {
        const AppendResult& result = results.front();
        if (result.verdict == AppendVerdict::kFailed) return done(result.status);
        *receipt = MakeReceipt(id, result, log_.durability());
        done(absl::OkStatus());
      });
  if (!queued.ok()) done(queued);
}

grpc::ServerUnaryReactor* EventBrokerApi::PublishBatch(grpc::CallbackServerContext* context,
                                                       const pb::PublishBatchRequest* request,
                                                       pb::PublishBatchResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::PublishBatchRequest& given, pb::PublishBatchResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        if (given.events_size() > kBatchEventsMax) {
          return done(FieldError("events", "more than 256 events"));
        }
        Batch batch;
        for (int i = 0; i < given.events_size(); ++i) {
          auto event = given.events(i);
          auto checked = CheckEvent(rules_, given.space(), clock_.Wall(), event);
          *answer->add_receipts() = MakeRefusal(event.id(), checked.status());
          if (!checked.ok()) continue;
          if (checked->due) {
            batch.later_places.push_back(i);
            batch.later.push_back(*std::move(checked));
          } else {
            batch.now_places.push_back(i);
            batch.now.push_back(std::move(checked->append));
          }
        }
        AppendBatch(std::move(batch), answer, done);
      });
}

// The log's part first: where it takes nothing, nothing is taken.
void EventBrokerApi::AppendBatch(Batch batch, pb::PublishBatchResponse* answer,
                                 const rpc::ServerDone& done) {
  if (batch.now.empty()) return ScheduleBatch(batch, answer, done);
  std::vector<AppendRequest> requests = std::move(batch.now);
  const auto shared = std::make_shared<Batch>(std::move(batch));
  const absl::Status queued = log_.Append(
      std::move(requests), [this, answer, done, shared](const std::vector<AppendResult>& results) {
        for (std::size_t i = 0; i < results.size(); ++i) {
          pb::PublishReceipt* receipt = answer->mutable_receipts(shared->now_places[i]);
          *receipt = MakeReceipt(receipt->id(), results[i], log_.durability());
        }
        ScheduleBatch(*shared, answer, done);
      });
  if (!queued.ok()) done(queued);
}

void EventBrokerApi::ScheduleBatch(Batch& batch, pb::PublishBatchResponse* answer,
                                   const rpc::ServerDone& done) {
  if (batch.later.empty()) return done(absl::OkStatus());
  intake_.Take(std::move(batch.later),
               [answer, done, places = batch.later_places](ScheduleIntake::Receipts receipts) {
                 for (std::size_t i = 0; i < receipts.size(); ++i) {
                   answer->mutable_receipts(places[i])->Swap(&receipts[i]);
                 }
                 done(absl::OkStatus());
               });
}

grpc::ServerBidiReactor<pb::PublishStreamRequest, pb::PublishStreamResponse>*
EventBrokerApi::PublishStream(grpc::CallbackServerContext* context) {
  return PublishStreamServer::Serve(context, [this](const auto& stream) { return Accept(stream); });
}

PublishStreamServer::Handlers EventBrokerApi::Accept(
    const std::shared_ptr<PublishStreamServer>& stream) {
  return ServePublishStream(stream, log_, intake_, rules_, clock_);
}

void EventBrokerApi::AddDirect(rpc::DirectMethods& direct) {
  direct.Add<pb::PublishStreamRequest, pb::PublishStreamResponse>(
      "/penstock.events.v1.EventBrokerService/PublishStream",
      [this](const auto& stream) { return Accept(stream); });
  direct.AddUnary<pb::PublishRequest, pb::PublishReceipt>(
      "/penstock.events.v1.EventBrokerService/Publish",
      [this](const pb::PublishRequest& given, pb::PublishReceipt* receipt, rpc::CallContext&,
             const rpc::ServerDone& done) { TakeOne(given, receipt, done); });
}

grpc::ServerUnaryReactor* EventBrokerApi::ReadEvents(grpc::CallbackServerContext* context,
                                                     const pb::ReadEventsRequest* request,
                                                     pb::ReadEventsResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::ReadEventsRequest& given, pb::ReadEventsResponse* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           const bool queued = readers_.TryPost([this, &given, answer, done] {
                             auto page = broker::ReadEvents(log_, rules_, given);
                             if (page.ok()) *answer = *std::move(page);
                             done(page.status());
                           });
                           if (!queued)
                             done(absl::ResourceExhaustedError("too many reads wait; try again"));
                         });
}

grpc::ServerWriteReactor<pb::StoredEvent>* EventBrokerApi::TailEvents(
    grpc::CallbackServerContext* context, const pb::TailEventsRequest* request) {
  return ServeTail(context, request, log_, rules_, readers_);
}

grpc::ServerUnaryReactor* EventBrokerApi::GetEvent(grpc::CallbackServerContext* context,
                                                   const pb::GetEventRequest* request,
                                                   pb::StoredEvent* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::GetEventRequest& given, pb::StoredEvent* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           const bool queued = readers_.TryPost([this, &given, answer, done] {
                             auto event = broker::GetEvent(log_, rules_, given);
                             if (event.ok()) *answer = *std::move(event);
                             done(event.status());
                           });
                           if (!queued)
                             done(absl::ResourceExhaustedError("too many reads wait; try again"));
                         });
}

grpc::ServerUnaryReactor* EventBrokerApi::ExplainEvent(grpc::CallbackServerContext* context,
                                                       const pb::ExplainEventRequest* request,
                                                       pb::ExplainEventResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ExplainEventRequest& given, pb::ExplainEventResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const bool queued = readers_.TryPost([this, &given, answer, done] {
          explainer_.Explain(given, [answer, done](absl::StatusOr<pb::ExplainEventResponse> found) {
            if (found.ok()) *answer = *std::move(found);
            done(found.status());
          });
        });
        if (!queued) done(absl::ResourceExhaustedError("too many reads wait; try again"));
      });
}

}  // namespace penstock::broker
