#include "tests/contract/event-broker/fixture.h"

#include <stdlib.h>

#include <stdexcept>
#include <thread>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/metadata.h"

namespace penstock::broker {

std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return context;
}

EventBrokerTest::EventBrokerTest() {
  std::string pattern = (std::filesystem::temp_directory_path() / "penstock-eb-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  auth_ = *rpc::PeerAuth::Load((folder_ / "peer.token").string());
  registry_ = std::make_unique<FakeRegistry>(auth_);
  executor_ = std::make_unique<FakeExecutor>(auth_);
  registry_host_ = StartHost("function-manager", *registry_);
  executor_host_ = StartHost("function-executor", *executor_);
  Restart();
}

EventBrokerTest::~EventBrokerTest() {
  StopApp();
  registry_host_->Stop(std::chrono::milliseconds(100));
  executor_host_->Stop(std::chrono::milliseconds(100));
  std::filesystem::remove_all(folder_);
}

std::unique_ptr<rpc::ServerHost> EventBrokerTest::StartHost(const std::string& name,
                                                            grpc::Service& service) const {
  rpc::ServerOptions options;
  options.name = name;
  if (GetParam() == Transport::kTcp) options.address = "127.0.0.1:0";
  options.services = {&service};
  auto host = rpc::ServerHost::Start(std::move(options));
  if (!host.ok()) throw std::runtime_error(host.status().ToString());
  return *std::move(host);
}

std::string EventBrokerTest::AddressOf(const std::string& name, int port) const {
  return GetParam() == Transport::kTcp ? "127.0.0.1:" + std::to_string(port) : "inproc:" + name;
}

void EventBrokerTest::Restart() {
  StopApp();
  Config config = config_;
  config.grpc_listen = GetParam() == Transport::kTcp ? "127.0.0.1:0" : "inproc:";
  config.data_dir = (folder_ / "data").string();
  config.peer_token_file = (folder_ / "peer.token").string();
  config.function_manager_address = AddressOf("function-manager", registry_host_->port());
  config.function_executor_address = AddressOf("function-executor", executor_host_->port());
  auto app = App::Create(config, {SystemClock(), metrics_, readiness_});
  if (!app.ok()) throw std::runtime_error(app.status().ToString());
  app_ = *std::move(app);
  const absl::Status started = app_->Start();
  if (!started.ok()) throw std::runtime_error(started.ToString());
  channel_ = *rpc::MakeChannel(AddressOf("event-broker", app_->port()), {.own_connection = true});
  broker_ = pb::EventBrokerService::NewStub(channel_);
  catalog_ = pb::EventCatalogService::NewStub(channel_);
  routes_ = pbi::RouteService::NewStub(channel_);
}

void EventBrokerTest::StopApp() {
  broker_.reset();
  catalog_.reset();
  routes_.reset();
  channel_.reset();
  if (app_ == nullptr) return;
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(2)).ok());
  app_.reset();
}

std::string EventBrokerTest::RevisionOf(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(rpc::kRevisionKey);
  return found == trailing.end() ? "" : std::string(found->second.data(), found->second.size());
}

CloudEvent EventBrokerTest::Event(const std::string& id, const std::string& type,
                                  const std::string& data) {
  CloudEvent event;
  event.set_id(id);
  event.set_source("/shop");
  event.set_spec_version("1.0");
  event.set_type(type);
  event.set_text_data(data);
  return event;
}

absl::StatusOr<pb::PublishReceipt> EventBrokerTest::Publish(const CloudEvent& event,
                                                            const std::string& space) {
  pb::PublishRequest request;
  request.set_space(space);
  *request.mutable_event() = event;
  return Call(*broker_, &pb::EventBrokerService::Stub::Publish, request);
}

std::int64_t EventBrokerTest::MustPublish(const std::string& id, const std::string& type) {
  const auto receipt = Publish(Event(id, type));
  if (!receipt.ok()) throw std::runtime_error(receipt.status().ToString());
  return receipt->sequence();
}

pb::Subscription EventBrokerTest::Wanted(const std::string& type) {
  pb::Subscription subscription;
  subscription.set_event_type(type);
  subscription.set_function("bill");
  subscription.mutable_retry()->set_max_attempts(2);
  subscription.mutable_retry()->mutable_initial_delay()->set_nanos(1'000'000);
  return subscription;
}

pb::Subscription EventBrokerTest::Routed(const std::string& path) {
  pb::Subscription subscription;
  subscription.mutable_http()->set_path(path);
  subscription.set_function("bill");
  return subscription;
}

absl::StatusOr<pb::Subscription> EventBrokerTest::Create(const std::string& id,
                                                         const pb::Subscription& subscription,
                                                         std::string* revision,
                                                         bool validate_only) {
  pb::CreateSubscriptionRequest request;
  request.set_parent("spaces/default");
  request.set_subscription_id(id);
  request.set_validate_only(validate_only);
  *request.mutable_subscription() = subscription;
  return Call(*catalog_, &pb::EventCatalogService::Stub::CreateSubscription, request, revision);
}

absl::StatusOr<pb::Subscription> EventBrokerTest::Get(const std::string& id) {
  pb::GetSubscriptionRequest request;
  request.set_name(NameOf(id));
  return Call(*catalog_, &pb::EventCatalogService::Stub::GetSubscription, request);
}

absl::StatusOr<pb::Subscription> EventBrokerTest::Update(
    const pb::UpdateSubscriptionRequest& request) {
  return Call(*catalog_, &pb::EventCatalogService::Stub::UpdateSubscription, request);
}

absl::Status EventBrokerTest::Delete(const std::string& id, bool force, const std::string& etag) {
  pb::DeleteSubscriptionRequest request;
  request.set_name(NameOf(id));
  request.set_force(force);
  request.set_etag(etag);
  return Call(*catalog_, &pb::EventCatalogService::Stub::DeleteSubscription, request).status();
}

absl::StatusOr<pb::SubscriptionStatus> EventBrokerTest::StatusOf(const std::string& id) {
  pb::GetSubscriptionStatusRequest request;
  request.set_name(NameOf(id));
  return Call(*catalog_, &pb::EventCatalogService::Stub::GetSubscriptionStatus, request);
}

std::vector<pb::DeadLetter> EventBrokerTest::DeadLetters() {
  pb::ListDeadLettersRequest request;
  request.set_parent("spaces/default");
  const auto page = Call(*catalog_, &pb::EventCatalogService::Stub::ListDeadLetters, request);
  EXPECT_TRUE(page.ok()) << page.status();
  if (!page.ok()) return {};
  return {page->dead_letters().begin(), page->dead_letters().end()};
}

std::string EventBrokerTest::FieldsOf(const absl::Status& status) {
  std::string fields;
  for (const auto& violation : FieldViolationsOf(status)) {
    fields += (fields.empty() ? "" : ",") + violation.field;
  }
  return fields.empty() ? status.ToString() : fields;
}

bool EventBrokerTest::Eventually(const std::function<bool()>& holds) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

INSTANTIATE_TEST_SUITE_P(Transports, EventBrokerTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

}  // namespace penstock::broker
