// The services behind the gateway, as tests want them to behave. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/rpc/bidi_server.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/server_stream.h"
#include "libs/rpc/server_unary.h"
#include "penstock/events/v1/broker_service.grpc.pb.h"
#include "penstock/events/v1/catalog_service.grpc.pb.h"
#include "penstock/executions/v1/executor_service.grpc.pb.h"
#include "penstock/functions/v1/manager_service.grpc.pb.h"
#include "penstock/internal/v1/routes_service.grpc.pb.h"

namespace penstock::gateway {

// What a fake saw of a call.
struct SeenCall {
  std::string method;
  std::vector<std::pair<std::string, std::string>> metadata;

  // All values of a key.
  std::vector<std::string> Metadata(const std::string& key) const;
};

class SeenCalls {
 public:
  void Add(std::string method, const rpc::CallContext& context);
  std::vector<SeenCall> all() const;
  SeenCall last() const;

 private:
  mutable std::mutex mutex_;
  std::vector<SeenCall> calls_;
};

// How PublishStream answers.
enum class PublishMode {
  kAccept,
  // Reads and says nothing.
  kSilent,
  // Ends the stream at the first message, without receipts, `breaks` times; then accepts.
  kBreak,
};

class FakeBroker final : public events::v1::EventBrokerService::CallbackService {
 public:
  void SetMode(PublishMode mode, int breaks = 0);
  // The events that were read, receipts or not.
  std::vector<events::v1::PublishStreamEntry> entries() const;
  // Events on the tail streams.
  void Append(std::int64_t sequence, std::size_t data_bytes = 0);
  void EndTails(const absl::Status& status);
  std::size_t tails() const;

  grpc::ServerBidiReactor<events::v1::PublishStreamRequest, events::v1::PublishStreamResponse>*
  PublishStream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* context,
                                     const events::v1::GetEventRequest* request,
                                     events::v1::StoredEvent* response) override;
  grpc::ServerWriteReactor<events::v1::StoredEvent>* TailEvents(
      grpc::CallbackServerContext* context, const events::v1::TailEventsRequest* request) override;
  grpc::ServerBidiReactor<events::v1::SubscribeRequest, events::v1::SubscribeResponse>* Subscribe(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* PullEvents(grpc::CallbackServerContext* context,
                                       const events::v1::PullEventsRequest* request,
                                       events::v1::PullEventsResponse* response) override;
  grpc::ServerUnaryReactor* RejectDeliveries(
      grpc::CallbackServerContext* context, const events::v1::RejectDeliveriesRequest* request,
      events::v1::RejectDeliveriesResponse* response) override;

  // Sends a message of `count` deliveries "d<n>" to every consumer; a subscription called "missing"
  // is not found.
  void Deliver(int first, int count, const std::string& data = "1");
  void EndConsumers(const absl::Status& status);
  std::size_t consumers() const;
  // What consumers said, their first messages included.
  std::vector<events::v1::SubscribeRequest> subscribe_requests() const;

  SeenCalls calls;

 private:
  struct Session;
  using Tail = rpc::ServerStream<events::v1::StoredEvent>;
  using ConsumerStream =
      rpc::BidiServer<events::v1::SubscribeRequest, events::v1::SubscribeResponse>;

  events::v1::PublishReceipt Receive(const events::v1::PublishStreamEntry& entry);

  mutable std::mutex mutex_;
  PublishMode mode_ = PublishMode::kAccept;
  int breaks_ = 0;
  std::int64_t sequence_ = 0;
  std::map<std::pair<std::string, std::string>, std::int64_t> stored_;
  std::vector<events::v1::PublishStreamEntry> entries_;
  std::set<std::shared_ptr<Tail>> tails_;
  std::map<std::shared_ptr<ConsumerStream>, std::vector<events::v1::SubscribeResponse>> consumers_;
  std::vector<events::v1::SubscribeRequest> subscribe_requests_;
};

// Routes, and the subscriptions that make them.
class FakeRoutes final : public internal::v1::RouteService::CallbackService {
 public:
  // Tells every watcher; the next watcher gets all in its snapshot.
  void Set(const internal::v1::Route& route);
  void Delete(const std::string& subscription);
  // Watchers hear nothing of changes until it is released.
  void Hold(bool held);
  std::int64_t revision() const;
  std::size_t watchers() const;
  bool saw_token() const;

  grpc::ServerWriteReactor<internal::v1::WatchRoutesResponse>* WatchRoutes(
      grpc::CallbackServerContext* context,
      const internal::v1::WatchRoutesRequest* request) override;

 private:
  using Stream = rpc::ServerStream<internal::v1::WatchRoutesResponse>;

  void Tell(internal::v1::RouteChange change);

  mutable std::mutex mutex_;
  std::int64_t revision_ = 1;
  bool held_ = false;
  bool saw_token_ = false;
  std::vector<internal::v1::RouteChange> kept_back_;
  std::map<std::string, internal::v1::Route> routes_;
  std::set<std::shared_ptr<Stream>> watchers_;
};

class FakeCatalog final : public events::v1::EventCatalogService::CallbackService {
 public:
  explicit FakeCatalog(FakeRoutes& routes) : routes_(routes) {}

  grpc::ServerUnaryReactor* CreateSubscription(grpc::CallbackServerContext* context,
                                               const events::v1::CreateSubscriptionRequest* request,
                                               events::v1::Subscription* response) override;
  grpc::ServerUnaryReactor* ListSubscriptions(
      grpc::CallbackServerContext* context, const events::v1::ListSubscriptionsRequest* request,
      events::v1::ListSubscriptionsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSubscription(grpc::CallbackServerContext* context,
                                               const events::v1::DeleteSubscriptionRequest* request,
                                               google::protobuf::Empty* response) override;

 private:
  FakeRoutes& routes_;
  std::mutex mutex_;
  std::map<std::string, events::v1::Subscription> subscriptions_;
};

class FakeManager final : public functions::v1::FunctionManagerService::CallbackService {
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
  // Answers with the number of messages as the digest.
  grpc::ServerReadReactor<functions::v1::UploadSourceRequest>* UploadSource(
      grpc::CallbackServerContext* context, functions::v1::UploadSourceResponse* response) override;

  SeenCalls calls;

 private:
  std::mutex mutex_;
  std::int64_t revision_ = 0;
  std::map<std::string, functions::v1::Function> functions_;
};

class FakeExecutor final : public executions::v1::FunctionExecutorService::CallbackService {
 public:
  using Answer = std::function<absl::StatusOr<executions::v1::InvokeResponse>(
      const executions::v1::InvokeRequest&)>;

  // In place of echoing the payload. Nothing: never answers.
  void SetAnswer(Answer answer);
  executions::v1::InvokeRequest last() const;
  std::size_t invoked() const;
  // Ends the calls that were not answered.
  void AnswerOpen();
  // Calls that were cancelled before they were answered.
  std::size_t cancelled() const;

  grpc::ServerUnaryReactor* Invoke(grpc::CallbackServerContext* context,
                                   const executions::v1::InvokeRequest* request,
                                   executions::v1::InvokeResponse* response) override;

  SeenCalls calls;

 private:
  mutable std::mutex mutex_;
  Answer answer_ = [](const executions::v1::InvokeRequest& request) {
    executions::v1::InvokeResponse response;
    response.set_execution("spaces/default/executions/e1");
    *response.mutable_payload() = request.payload();
    return response;
  };
  std::vector<executions::v1::InvokeRequest> requests_;
  std::vector<rpc::ServerDone> open_;
  std::size_t cancelled_ = 0;
};

}  // namespace penstock::gateway
