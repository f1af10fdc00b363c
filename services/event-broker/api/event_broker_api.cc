#include "services/event-broker/api/event_broker_api.h"

#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/server_unary.h"
#include "services/event-broker/api/event_reader.h"
#include "services/event-broker/api/publish_stream.h"
#include "services/event-broker/api/tail.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kBatchEventsMax = 256;

}  // namespace

grpc::ServerUnaryReactor* EventBrokerApi::Publish(grpc::CallbackServerContext* context,
                                                  const pb::PublishRequest* request,
                                                  pb::PublishReceipt* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::PublishRequest& given, pb::PublishReceipt* receipt,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           if (!given.has_event()) return done(FieldError("event", "must be set"));
                           auto event = given.event();
                           auto append = MakeAppendRequest(rules_, given.space(), event);
                           if (!append.ok()) return done(append.status());
                           const std::string id = append->id;
                           std::vector<AppendRequest> requests;
                           requests.push_back(*std::move(append));
                           const absl::Status queued = log_.Append(
                               std::move(requests),
                               [this, receipt, done, id](const std::vector<AppendResult>& results) {
                                 const AppendResult& result = results.front();
                                 if (result.verdict == AppendVerdict::kFailed)
                                   return done(result.status);
                                 *receipt = MakeReceipt(id, result, log_.durability());
                                 done(absl::OkStatus());
                               });
                           if (!queued.ok()) done(queued);
                         });
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
        std::vector<AppendRequest> requests;
        std::vector<int> places;  // Of each request's receipt in the answer.
        for (int i = 0; i < given.events_size(); ++i) {
          auto event = given.events(i);
          auto append = MakeAppendRequest(rules_, given.space(), event);
          *answer->add_receipts() = MakeRefusal(event.id(), append.status());
          if (!append.ok()) continue;
          places.push_back(i);
          requests.push_back(*std::move(append));
        }
        if (requests.empty()) return done(absl::OkStatus());
        const absl::Status queued =
            log_.Append(std::move(requests),
                        [this, answer, done, places](const std::vector<AppendResult>& results) {
                          for (std::size_t i = 0; i < results.size(); ++i) {
                            pb::PublishReceipt* receipt = answer->mutable_receipts(places[i]);
                            *receipt = MakeReceipt(receipt->id(), results[i], log_.durability());
                          }
                          done(absl::OkStatus());
                        });
        if (!queued.ok()) done(queued);
      });
}

grpc::ServerBidiReactor<pb::PublishStreamRequest, pb::PublishStreamResponse>*
EventBrokerApi::PublishStream(grpc::CallbackServerContext* context) {
  return ServePublishStream(context, log_, rules_);
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

}  // namespace penstock::broker
