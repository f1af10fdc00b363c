// The event-broker as its callers see it, over TCP and in process.
#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <penstock/events/v1/broker_service.grpc.pb.h>
#include <penstock/events/v1/catalog_service.grpc.pb.h>
#include <penstock/internal/v1/routes_service.grpc.pb.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_host.h"
#include "libs/rpc/status.h"
#include "services/event-broker/app/app.h"
#include "tests/contract/event-broker/fake_services.h"

namespace penstock::broker {

namespace pb = penstock::events::v1;
using io::cloudevents::v1::CloudEvent;

enum class Transport { kTcp, kInProcess };

// A context with a deadline of ten seconds.
std::unique_ptr<grpc::ClientContext> NewContext();

// Runs the app between its fake neighbours. The calls block: they are a test's, not a reaction's.
class EventBrokerTest : public testing::TestWithParam<Transport> {
 protected:
  EventBrokerTest();
  ~EventBrokerTest() override;

  // Starts the app on the test's folder; stops it first when it runs.
  void Restart();
  void StopApp();

  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request, std::string* revision = nullptr) {
    auto context = NewContext();
    Response response;
    const grpc::Status status = (stub.*method)(context.get(), request, &response);
    if (revision != nullptr) *revision = RevisionOf(*context);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }

  // An event of type "order.paid" with text data.
  static CloudEvent Event(const std::string& id, const std::string& type = "order.paid",
                          const std::string& data = "data");
  absl::StatusOr<pb::PublishReceipt> Publish(const CloudEvent& event,
                                             const std::string& space = "");
  // Publishes and gives the sequence; a failure ends the program.
  std::int64_t MustPublish(const std::string& id, const std::string& type = "order.paid");

  static pb::Subscription Wanted(const std::string& type = "order.paid");
  static pb::Subscription Routed(const std::string& path);
  absl::StatusOr<pb::Subscription> Create(const std::string& id,
                                          const pb::Subscription& subscription,
                                          std::string* revision = nullptr,
                                          bool validate_only = false);
  absl::StatusOr<pb::Subscription> Get(const std::string& id);
  absl::StatusOr<pb::Subscription> Update(const pb::UpdateSubscriptionRequest& request);
  absl::Status Delete(const std::string& id, bool force = false, const std::string& etag = "");
  absl::StatusOr<pb::SubscriptionStatus> StatusOf(const std::string& id);
  std::vector<pb::DeadLetter> DeadLetters();

  static std::string NameOf(const std::string& id) { return "spaces/default/subscriptions/" + id; }
  // The fields that a refusal names, with commas; the status itself when it names none.
  static std::string FieldsOf(const absl::Status& status);
  // Whether it came to hold within ten seconds.
  static bool Eventually(const std::function<bool()>& holds);

  Config config_;  // For the next Restart, which fills in addresses and folders.
  std::filesystem::path folder_;
  std::shared_ptr<const rpc::PeerAuth> auth_;
  std::unique_ptr<FakeRegistry> registry_;
  std::unique_ptr<FakeExecutor> executor_;
  std::unique_ptr<rpc::ServerHost> registry_host_;
  std::unique_ptr<rpc::ServerHost> executor_host_;
  metrics::Registry metrics_;
  lifecycle::Readiness readiness_;
  std::unique_ptr<App> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::EventBrokerService::Stub> broker_;
  std::unique_ptr<pb::EventCatalogService::Stub> catalog_;
  std::unique_ptr<pbi::RouteService::Stub> routes_;

 private:
  static std::string RevisionOf(const grpc::ClientContext& context);
  std::unique_ptr<rpc::ServerHost> StartHost(const std::string& name, grpc::Service& service) const;
  std::string AddressOf(const std::string& name, int port) const;
};

}  // namespace penstock::broker
