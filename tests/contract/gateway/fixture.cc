#include "tests/contract/gateway/fixture.h"

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

namespace penstock::gateway {

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

TestFolder::TestFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "penstock-gw-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TestFolder::~TestFolder() { std::filesystem::remove_all(path_); }

GatewayTest::GatewayTest(Transport transport) : transport_(transport) {
  config.http_listen = {"127.0.0.1", 0};
  config.config_listen = "127.0.0.1:0";
  config.grpc_listen = "127.0.0.1:0";
  config.http_threads = 2;
  config.peer_token_file = folder.File("peer.token");
  StartBroker();
  StartManager();
  StartExecutor();
}

GatewayTest::~GatewayTest() {
  StopGateway();
  StopBroker();
  StopManager();
  StopExecutor();
}

void GatewayTest::StartGateway() {
  auto created = App::Create(config, {SystemClock(), metrics, readiness});
  ASSERT_TRUE(created.ok()) << created.status();
  app = *std::move(created);
  const absl::Status started = app->Start();
  ASSERT_TRUE(started.ok()) << started;
}

void GatewayTest::StopGateway() { app.reset(); }

std::unique_ptr<rpc::ServerHost> GatewayTest::Start(const std::string& name, std::string* address,
                                                    std::vector<grpc::Service*> services) {
  rpc::ServerOptions options;
  options.services = std::move(services);
  if (transport_ == Transport::kInProcess) {
    options.name = "gateway-test-" + name;
    *address = "inproc:" + options.name;
  } else {
    // The port of the first start is the service's for good.
    options.address = address->empty() ? "127.0.0.1:0" : *address;
  }
  auto host = rpc::ServerHost::Start(std::move(options));
  EXPECT_TRUE(host.ok()) << host.status();
  if (!host.ok()) return nullptr;
  if (transport_ == Transport::kTcp) *address = (*host)->address();
  (*host)->SetServing(true);
  return *std::move(host);
}

void GatewayTest::StartBroker() {
  if (app == nullptr) config.event_broker_address.clear();
  broker_host_ = Start("broker", &config.event_broker_address, {&broker, &routes, &catalog});
}

void GatewayTest::StartManager() {
  if (app == nullptr) config.function_manager_address.clear();
  manager_host_ = Start("manager", &config.function_manager_address, {&manager});
}

void GatewayTest::StartExecutor() {
  if (app == nullptr) config.function_executor_address.clear();
  executor_host_ = Start("executor", &config.function_executor_address, {&executor});
}

void GatewayTest::StopBroker() {
  if (broker_host_ != nullptr) broker_host_->Stop(std::chrono::milliseconds(0));
  broker_host_.reset();
}

void GatewayTest::StopManager() {
  if (manager_host_ != nullptr) manager_host_->Stop(std::chrono::milliseconds(0));
  manager_host_.reset();
}

void GatewayTest::StopExecutor() {
  if (executor_host_ != nullptr) executor_host_->Stop(std::chrono::milliseconds(0));
  executor_host_.reset();
}

HttpAnswer GatewayTest::Publish(const std::string& id, const std::string& type) {
  return Post("/events", "x",
              {{"ce-specversion", "1.0"}, {"ce-id", id}, {"ce-source", "/s"}, {"ce-type", type}});
}

}  // namespace penstock::gateway
