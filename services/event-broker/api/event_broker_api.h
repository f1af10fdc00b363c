// The data plane's gRPC face.
#pragma once

#include <penstock/events/v1/broker_service.grpc.pb.h>

#include <utility>
#include <vector>

#include "libs/base/worker_pool.h"
#include "libs/rpc/server_unary.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/api/explain.h"
#include "services/event-broker/api/publish_stream.h"
#include "services/event-broker/api/schedule_intake.h"
#include "services/event-broker/ports/pull_consumers.h"

namespace penstock::broker {

// Serves EventBrokerService. Thread-safe. What it is given must outlive the server.
class EventBrokerApi final : public penstock::events::v1::EventBrokerService::CallbackService {
 public:
  struct Ports {
    EventLog& log;
    EventSchedule& schedule;
    PullConsumers& pull;
    WorkerPool& readers;
    const Explainer& explainer;
    const Clock& clock;
  };

  EventBrokerApi(const Ports& ports, PublishRules rules)
      : log_(ports.log),
        schedule_(ports.schedule),
        pull_(ports.pull),
        readers_(ports.readers),
        explainer_(ports.explainer),
        clock_(ports.clock),
        rules_(std::move(rules)),
        intake_(log_, schedule_, readers_, clock_, rules_.dedup_window) {}

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
  grpc::ServerBidiReactor<penstock::events::v1::SubscribeRequest,
                          penstock::events::v1::SubscribeResponse>*
  Subscribe(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* PullEvents(grpc::CallbackServerContext* context,
                                       const penstock::events::v1::PullEventsRequest* request,
                                       penstock::events::v1::PullEventsResponse* response) override;
  grpc::ServerUnaryReactor* AcknowledgeDeliveries(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::AcknowledgeDeliveriesRequest* request,
      penstock::events::v1::AcknowledgeDeliveriesResponse* response) override;
  grpc::ServerUnaryReactor* RejectDeliveries(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::RejectDeliveriesRequest* request,
      penstock::events::v1::RejectDeliveriesResponse* response) override;
  grpc::ServerUnaryReactor* ExtendDeliveries(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::ExtendDeliveriesRequest* request,
      penstock::events::v1::ExtendDeliveriesResponse* response) override;
  grpc::ServerUnaryReactor* ListScheduledEvents(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::ListScheduledEventsRequest* request,
      penstock::events::v1::ListScheduledEventsResponse* response) override;
  grpc::ServerUnaryReactor* GetScheduledEvent(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::GetScheduledEventRequest* request,
      penstock::events::v1::ScheduledEvent* response) override;
  grpc::ServerUnaryReactor* CancelScheduledEvent(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::CancelScheduledEventRequest* request,
      penstock::events::v1::ScheduledEvent* response) override;
  grpc::ServerUnaryReactor* ReadEvents(grpc::CallbackServerContext* context,
                                       const penstock::events::v1::ReadEventsRequest* request,
                                       penstock::events::v1::ReadEventsResponse* response) override;
  grpc::ServerWriteReactor<penstock::events::v1::StoredEvent>* TailEvents(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::TailEventsRequest* request) override;
  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* context,
                                     const penstock::events::v1::GetEventRequest* request,
                                     penstock::events::v1::StoredEvent* response) override;
  grpc::ServerUnaryReactor* ExplainEvent(
      grpc::CallbackServerContext* context,
      const penstock::events::v1::ExplainEventRequest* request,
      penstock::events::v1::ExplainEventResponse* response) override;

  // Enters what is served without gRPC's library.
  void AddDirect(rpc::DirectMethods& direct);

 private:
  void TakeOne(const events::v1::PublishRequest& request, events::v1::PublishReceipt* receipt,
               const rpc::ServerDone& done);
  PublishStreamServer::Handlers Accept(const std::shared_ptr<PublishStreamServer>& stream);
  // A batch's events that are published now and later, and the places of their receipts.
  struct Batch {
    std::vector<AppendRequest> now;
    std::vector<int> now_places;
    std::vector<CheckedEvent> later;
    std::vector<int> later_places;
  };

  void AppendBatch(Batch batch, penstock::events::v1::PublishBatchResponse* answer,
                   const rpc::ServerDone& done);
  void ScheduleBatch(Batch& batch, penstock::events::v1::PublishBatchResponse* answer,
                     const rpc::ServerDone& done);

  EventLog& log_;
  EventSchedule& schedule_;
  PullConsumers& pull_;
  WorkerPool& readers_;
  const Explainer& explainer_;
  const Clock& clock_;
  const PublishRules rules_;
  ScheduleIntake intake_;
};

}  // namespace penstock::broker
