// A server for tests of the command-line client: the four services' methods that it calls, in
// memory.
#pragma once

#include <penstock/events/v1/broker_service.grpc.pb.h>
#include <penstock/events/v1/catalog_service.grpc.pb.h>
#include <penstock/executions/v1/executor_service.grpc.pb.h>
#include <penstock/functions/v1/manager_service.grpc.pb.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/rpc/server_host.h"

namespace penstock::cli {

// Keeps functions by name; the etag counts changes, the timeout has a default.
class FakeFunctions final : public functions::v1::FunctionManagerService::CallbackService {
 public:
  grpc::ServerUnaryReactor* CreateFunction(grpc::CallbackServerContext* context,
                                           const functions::v1::CreateFunctionRequest* request,
                                           functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* GetFunction(grpc::CallbackServerContext* context,
                                        const functions::v1::GetFunctionRequest* request,
                                        functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* ListFunctions(grpc::CallbackServerContext* context,
                                          const functions::v1::ListFunctionsRequest* request,
                                          functions::v1::ListFunctionsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateFunction(grpc::CallbackServerContext* context,
                                           const functions::v1::UpdateFunctionRequest* request,
                                           functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* DeleteFunction(grpc::CallbackServerContext* context,
                                           const functions::v1::DeleteFunctionRequest* request,
                                           google::protobuf::Empty* response) override;

  std::mutex mutex;
  std::map<std::string, functions::v1::Function> functions;
  int writes = 0;
  // The authorization metadata of the last call.
  std::string authorization;
};

// Keeps subscriptions by name.
class FakeCatalog final : public events::v1::EventCatalogService::CallbackService {
 public:
  grpc::ServerUnaryReactor* CreateSubscription(grpc::CallbackServerContext* context,
                                               const events::v1::CreateSubscriptionRequest* request,
                                               events::v1::Subscription* response) override;
  grpc::ServerUnaryReactor* GetSubscription(grpc::CallbackServerContext* context,
                                            const events::v1::GetSubscriptionRequest* request,
                                            events::v1::Subscription* response) override;
  grpc::ServerUnaryReactor* ListSubscriptions(
      grpc::CallbackServerContext* context, const events::v1::ListSubscriptionsRequest* request,
      events::v1::ListSubscriptionsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSubscription(grpc::CallbackServerContext* context,
                                               const events::v1::UpdateSubscriptionRequest* request,
                                               events::v1::Subscription* response) override;
  grpc::ServerUnaryReactor* ListDeadLetters(grpc::CallbackServerContext* context,
                                            const events::v1::ListDeadLettersRequest* request,
                                            events::v1::ListDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* RedriveDeadLetters(
      grpc::CallbackServerContext* context, const events::v1::RedriveDeadLettersRequest* request,
      events::v1::RedriveDeadLettersResponse* response) override;

  grpc::ServerUnaryReactor* DrainSubscription(grpc::CallbackServerContext* context,
                                              const events::v1::DrainSubscriptionRequest* request,
                                              events::v1::Subscription* response) override;
  grpc::ServerUnaryReactor* GetSubscriptionStatus(
      grpc::CallbackServerContext* context, const events::v1::GetSubscriptionStatusRequest* request,
      events::v1::SubscriptionStatus* response) override;
  grpc::ServerUnaryReactor* ReplaySubscription(
      grpc::CallbackServerContext* context, const events::v1::ReplaySubscriptionRequest* request,
      events::v1::ReplaySubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* GetReplay(grpc::CallbackServerContext* context,
                                      const events::v1::GetReplayRequest* request,
                                      events::v1::Replay* response) override;
  grpc::ServerUnaryReactor* CancelReplay(grpc::CallbackServerContext* context,
                                         const events::v1::CancelReplayRequest* request,
                                         events::v1::Replay* response) override;
  grpc::ServerUnaryReactor* GetDeadLetter(grpc::CallbackServerContext* context,
                                          const events::v1::GetDeadLetterRequest* request,
                                          events::v1::DeadLetter* response) override;
  grpc::ServerUnaryReactor* UpdateDeadLetter(grpc::CallbackServerContext* context,
                                             const events::v1::UpdateDeadLetterRequest* request,
                                             events::v1::DeadLetter* response) override;
  grpc::ServerUnaryReactor* PurgeDeadLetters(
      grpc::CallbackServerContext* context, const events::v1::PurgeDeadLettersRequest* request,
      events::v1::PurgeDeadLettersResponse* response) override;

  std::mutex mutex;
  std::map<std::string, events::v1::Subscription> subscriptions;
  events::v1::CreateSubscriptionRequest created;
  events::v1::UpdateSubscriptionRequest updated;
  events::v1::ListDeadLettersRequest listed;
  // What redrives and purges have left to do; each call takes at most three.
  int letters_left = 3;
  events::v1::RedriveDeadLettersRequest redriven;
  events::v1::PurgeDeadLettersRequest purged;
  events::v1::UpdateDeadLetterRequest edited;
  events::v1::ReplaySubscriptionRequest replayed;
  int replay_asked = 0;  // The second answer says that it is done.
};

// Numbers events from 1; the tail sends what is stored and ends.
class FakeBroker final : public events::v1::EventBrokerService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const events::v1::PublishRequest* request,
                                    events::v1::PublishReceipt* response) override;
  grpc::ServerUnaryReactor* PublishBatch(grpc::CallbackServerContext* context,
                                         const events::v1::PublishBatchRequest* request,
                                         events::v1::PublishBatchResponse* response) override;
  grpc::ServerUnaryReactor* ReadEvents(grpc::CallbackServerContext* context,
                                       const events::v1::ReadEventsRequest* request,
                                       events::v1::ReadEventsResponse* response) override;
  grpc::ServerWriteReactor<events::v1::StoredEvent>* TailEvents(
      grpc::CallbackServerContext* context, const events::v1::TailEventsRequest* request) override;

  // The first answer about an event says that it is being delivered, the next ones that it is.
  grpc::ServerUnaryReactor* ExplainEvent(grpc::CallbackServerContext* context,
                                         const events::v1::ExplainEventRequest* request,
                                         events::v1::ExplainEventResponse* response) override;
  grpc::ServerUnaryReactor* ListScheduledEvents(
      grpc::CallbackServerContext* context, const events::v1::ListScheduledEventsRequest* request,
      events::v1::ListScheduledEventsResponse* response) override;
  grpc::ServerUnaryReactor* CancelScheduledEvent(
      grpc::CallbackServerContext* context, const events::v1::CancelScheduledEventRequest* request,
      events::v1::ScheduledEvent* response) override;
  // Sends one event for each credit, until the client sends no more.
  grpc::ServerBidiReactor<events::v1::SubscribeRequest, events::v1::SubscribeResponse>* Subscribe(
      grpc::CallbackServerContext* context) override;

  std::mutex mutex;
  std::vector<io::cloudevents::v1::CloudEvent> events;
  int batches = 0;
  std::map<std::string, int> explained;  // How often, by id.
  events::v1::ExplainEventRequest explain_request;
  std::string cancelled;
  std::string subscribed;
  int sent = 0;
  std::vector<std::string> acknowledged;
  std::vector<events::v1::Nack> refused;
};

// Answers with the payload; the function "broken" fails.
class FakeExecutor final : public executions::v1::FunctionExecutorService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Invoke(grpc::CallbackServerContext* context,
                                   const executions::v1::InvokeRequest* request,
                                   executions::v1::InvokeResponse* response) override;
  grpc::ServerUnaryReactor* ListExecutions(
      grpc::CallbackServerContext* context, const executions::v1::ListExecutionsRequest* request,
      executions::v1::ListExecutionsResponse* response) override;
};

class FakeServer {
 public:
  FakeServer();
  // "127.0.0.1:port".
  const std::string& address() const { return host->address(); }

  FakeFunctions functions;
  FakeCatalog catalog;
  FakeBroker broker;
  FakeExecutor executor;
  std::unique_ptr<rpc::ServerHost> host;
};

}  // namespace penstock::cli
