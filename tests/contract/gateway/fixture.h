// The gateway between real HTTP clients and services that a test plays.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "libs/base/time.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/server_host.h"
#include "services/gateway/app/app.h"
#include "tests/contract/gateway/fakes.h"
#include "tests/contract/gateway/http_client.h"

namespace penstock::gateway {

// Waits until `condition` holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

// A folder that is removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Whether the gateway reaches the services over TCP or in process: streams differ.
enum class Transport { kTcp, kInProcess };

class GatewayTest : public testing::Test {
 protected:
  explicit GatewayTest(Transport transport = Transport::kTcp);
  ~GatewayTest() override;

  // Starts the gateway, once the test has changed `config` as it likes.
  void StartGateway();
  void StopGateway();

  // Services come and go, on the same address.
  void StartBroker();
  void StopBroker();
  void StartManager();
  void StopManager();
  void StartExecutor();
  void StopExecutor();

  HttpAnswer Get(const std::string& target, HeaderList headers = {}) {
    return Ask(http_port(), {"GET", target, std::move(headers), ""});
  }
  HttpAnswer Post(const std::string& target, std::string body, HeaderList headers = {}) {
    return Ask(http_port(), {"POST", target, std::move(headers), std::move(body)});
  }
  HttpAnswer PostJson(const std::string& target, std::string body) {
    return Post(target, std::move(body), {{"Content-Type", "application/json"}});
  }
  // Publishes an event of this id.
  HttpAnswer Publish(const std::string& id, const std::string& type = "t");

  std::uint16_t http_port() const { return app->http_port(); }

  // Waits until the gateway has the routes that the broker has.
  bool WatchesRoutes() {
    return Eventually([this] { return routes.watchers() == 1; });
  }

  FakeBroker broker;
  FakeRoutes routes;
  FakeCatalog catalog{routes};
  FakeManager manager;
  FakeExecutor executor;
  Config config;
  TestFolder folder;
  metrics::Registry metrics;
  lifecycle::Readiness readiness;
  std::unique_ptr<App> app;

 private:
  std::unique_ptr<rpc::ServerHost> Start(const std::string& name, std::string* address,
                                         std::vector<grpc::Service*> services);

  const Transport transport_;
  std::unique_ptr<rpc::ServerHost> broker_host_;
  std::unique_ptr<rpc::ServerHost> manager_host_;
  std::unique_ptr<rpc::ServerHost> executor_host_;
};

}  // namespace penstock::gateway
