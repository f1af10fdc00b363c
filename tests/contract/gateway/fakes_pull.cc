// The fake broker's pull consumers.
#include <utility>

#include "libs/base/status.h"
#include "tests/contract/gateway/fakes.h"

namespace penstock::gateway {

grpc::ServerBidiReactor<events::v1::SubscribeRequest, events::v1::SubscribeResponse>*
FakeBroker::Subscribe(grpc::CallbackServerContext* context) {
  return ConsumerStream::Serve(context, [this](const std::shared_ptr<ConsumerStream>& stream) {
    calls.Add("Subscribe", stream->context());
    ConsumerStream::Handlers handlers;
    handlers.fill = [this, stream](events::v1::SubscribeResponse& message) {
      const std::lock_guard lock(mutex_);
      const auto at = consumers_.find(stream);
      if (at == consumers_.end() || at->second.empty()) return false;
      message.Swap(&at->second.front());
      at->second.erase(at->second.begin());
      return true;
    };
    handlers.on_message = [this, stream](events::v1::SubscribeRequest& message) {
      if (message.subscription() == "spaces/default/subscriptions/missing") {
        return stream->Finish(absl::NotFoundError("no such subscription"));
      }
      const std::lock_guard lock(mutex_);
      subscribe_requests_.push_back(message);
      consumers_.try_emplace(stream);
    };
    handlers.on_done = [this, stream](const absl::Status&) {
      const std::lock_guard lock(mutex_);
      consumers_.erase(stream);
    };
    return handlers;
  });
}

void FakeBroker::Deliver(int first, int count, const std::string& data) {
  events::v1::SubscribeResponse message;
  for (int i = first; i < first + count; ++i) {
    auto* received = message.add_events();
    received->set_delivery_id("d" + std::to_string(i));
    received->set_attempt(1);
    auto* event = received->mutable_event()->mutable_event();
    event->set_id("e" + std::to_string(i));
    event->set_source("/shop");
    event->set_spec_version("1.0");
    event->set_type("order.paid");
    event->set_binary_data(data);
  }
  std::vector<std::shared_ptr<ConsumerStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [stream, waiting] : consumers_) {
      waiting.push_back(message);
      streams.push_back(stream);
    }
  }
  for (const auto& stream : streams) stream->Notify();
}

void FakeBroker::EndConsumers(const absl::Status& status) {
  std::vector<std::shared_ptr<ConsumerStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [stream, waiting] : consumers_) streams.push_back(stream);
  }
  for (const auto& stream : streams) stream->Finish(status);
}

std::size_t FakeBroker::consumers() const {
  const std::lock_guard lock(mutex_);
  return consumers_.size();
}

std::vector<events::v1::SubscribeRequest> FakeBroker::subscribe_requests() const {
  const std::lock_guard lock(mutex_);
  return subscribe_requests_;
}

grpc::ServerUnaryReactor* FakeBroker::PullEvents(grpc::CallbackServerContext* context,
                                                 const events::v1::PullEventsRequest* request,
                                                 events::v1::PullEventsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const events::v1::PullEventsRequest& given, events::v1::PullEventsResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        calls.Add("PullEvents", call);
        auto* received = answer->add_events();
        received->set_delivery_id(given.subscription());
        received->set_attempt(given.max_events());
        done(absl::OkStatus());
      });
}

grpc::ServerUnaryReactor* FakeBroker::RejectDeliveries(
    grpc::CallbackServerContext* context, const events::v1::RejectDeliveriesRequest* request,
    events::v1::RejectDeliveriesResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const events::v1::RejectDeliveriesRequest& given,
             events::v1::RejectDeliveriesResponse* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        calls.Add("RejectDeliveries", call);
        for (const std::string& id : given.delivery_ids()) {
          answer->add_unknown_delivery_ids(id + "/" + std::to_string(given.delay().seconds()));
        }
        done(absl::OkStatus());
      });
}

}  // namespace penstock::gateway
