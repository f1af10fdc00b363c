// The data plane's gRPC face.
#pragma once

#include <penstock/events/v1/broker_service.grpc.pb.h>

#include "libs/base/worker_pool.h"
#include "services/event-broker/api/append_request.h"

namespace penstock::broker {

// Serves EventBrokerService; Subscribe and ExplainEvent answer UNIMPLEMENTED. Thread-safe. What it
// is given must outlive the server.
class EventBrokerApi final : public penstock::events::v1::EventBrokerService::CallbackService {
 public:
  EventBrokerApi(EventLog& log, WorkerPool& readers, PublishRules rules)
      : log_(log), readers_(readers), rules_(std::move(rules)) {}

  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const penstock::events::v1::PublishRequest* request,
                                    penstock::events::v1::PublishReceipt* response) override;
  grpc::ServerUnaryReactor* PublishBatch(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::PublishBatchRequest* request,
      penstock::events::v1::PublishBatchResponse* response) override;
  grpc::ServerBidiReactor<penstock::events::v1::PublishStreamRequest,
                          penstock::events::v1::PublishStreamResponse>*
  PublishStream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ReadEvents(grpc::CallbackServerContext* context,
                                       const penstock::events::v1::ReadEventsRequest* request,
                                       penstock::events::v1::ReadEventsResponse* response) override;
  grpc::ServerWriteReactor<penstock::events::v1::StoredEvent>* TailEvents(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::TailEventsRequest* request) override;
  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* context,
                                     const penstock::events::v1::GetEventRequest* request,
                                     penstock::events::v1::StoredEvent* response) override;

 private:
  EventLog& log_;
  WorkerPool& readers_;
  const PublishRules rules_;
};

}  // namespace penstock::broker
