// Pull consumers' part of the data plane.
#include <string>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "services/event-broker/api/event_broker_api.h"
#include "services/event-broker/api/subscribe_stream.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kDeliveryIdsMax = 1024;

// The ids of a request, once there are as many as may be.
template <typename Request>
absl::StatusOr<std::vector<std::string>> DeliveryIds(const Request& request) {
  if (request.delivery_ids().empty() || request.delivery_ids_size() > kDeliveryIdsMax) {
    return FieldError("deliveryIds", "expected 1 to 1024 ids");
  }
  return std::vector<std::string>(request.delivery_ids().begin(), request.delivery_ids().end());
}

template <typename Response>
absl::Status Answer(absl::StatusOr<std::vector<std::string>> unknown, Response* answer) {
  if (!unknown.ok()) return unknown.status();
  for (std::string& id : *unknown) answer->add_unknown_delivery_ids(std::move(id));
  return absl::OkStatus();
}

}  // namespace

grpc::ServerBidiReactor<pb::SubscribeRequest, pb::SubscribeResponse>* EventBrokerApi::Subscribe(
    grpc::CallbackServerContext* context) {
  return ServeSubscribe(context, pull_);
}

grpc::ServerUnaryReactor* EventBrokerApi::PullEvents(grpc::CallbackServerContext* context,
                                                     const pb::PullEventsRequest* request,
                                                     pb::PullEventsResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::PullEventsRequest& given, pb::PullEventsResponse* answer,
                                rpc::CallContext& call, const rpc::ServerDone& done) {
                           ServePull(given, answer, call, done, pull_);
                         });
}

grpc::ServerUnaryReactor* EventBrokerApi::AcknowledgeDeliveries(
    grpc::CallbackServerContext* context, const pb::AcknowledgeDeliveriesRequest* request,
    pb::AcknowledgeDeliveriesResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::AcknowledgeDeliveriesRequest& given,
                                pb::AcknowledgeDeliveriesResponse* answer, rpc::CallContext&,
                                const rpc::ServerDone& done) {
                           const auto ids = DeliveryIds(given);
                           if (!ids.ok()) return done(ids.status());
                           done(Answer(pull_.Acknowledge(given.subscription(), *ids), answer));
                         });
}

grpc::ServerUnaryReactor* EventBrokerApi::RejectDeliveries(
    grpc::CallbackServerContext* context, const pb::RejectDeliveriesRequest* request,
    pb::RejectDeliveriesResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::RejectDeliveriesRequest& given, pb::RejectDeliveriesResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        auto ids = DeliveryIds(given);
        if (!ids.ok()) return done(ids.status());
        const auto delay = FromProto("delay", given.delay());
        if (!delay.ok()) return done(delay.status());
        std::vector<PullRejection> rejections;
        for (std::string& id : *ids) rejections.push_back({std::move(id), *delay, given.reason()});
        done(Answer(pull_.Reject(given.subscription(), rejections), answer));
      });
}

grpc::ServerUnaryReactor* EventBrokerApi::ExtendDeliveries(
    grpc::CallbackServerContext* context, const pb::ExtendDeliveriesRequest* request,
    pb::ExtendDeliveriesResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ExtendDeliveriesRequest& given, pb::ExtendDeliveriesResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto ids = DeliveryIds(given);
        if (!ids.ok()) return done(ids.status());
        done(Answer(pull_.Extend(given.subscription(), *ids), answer));
      });
}

}  // namespace penstock::broker
