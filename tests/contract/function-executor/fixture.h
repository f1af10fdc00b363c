// A function-executor with a function-manager that the test plays, and a back end over HTTP.
#pragma once

#include <penstock/executions/v1/executor_service.grpc.pb.h>
#include <penstock/functions/v1/function.pb.h>
#include <penstock/internal/v1/registry_service.grpc.pb.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/http/server.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_host.h"
#include "libs/rpc/server_stream.h"
#include "services/function-executor/app/app.h"
#include "tests/contract/function-executor/delivery_client.h"

namespace penstock::executor {

namespace pb = executions::v1;

// Waits until `condition` holds; false when it does not in time.
bool Eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(20));

// A folder that goes with this object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The part of a function-manager that executors watch. Thread-safe.
class FakeManager final : public ipb::FunctionRegistryService::CallbackService {
 public:
  // Listens as "inproc:<name>" and on a port.
  FakeManager(std::string name, std::shared_ptr<const rpc::PeerAuth> peer_auth);
  ~FakeManager() override;

  grpc::ServerWriteReactor<ipb::WatchFunctionsResponse>* WatchFunctions(
      grpc::CallbackServerContext* context, const ipb::WatchFunctionsRequest* request) override;

  grpc::ServerUnaryReactor* ReportDeployment(grpc::CallbackServerContext* context,
                                             const ipb::ReportDeploymentRequest* request,
                                             ipb::ReportDeploymentResponse* response) override;

  // Announces a function in space `default`; returns the revision. It is READY unless it has a
  // state.
  std::int64_t Put(const std::string& id, functions::v1::Function function);
  // What goes with announcements of the function from now on.
  void SetSecret(const std::string& id, const ipb::ResolvedSecret& secret);
  std::int64_t Delete(const std::string& id);
  // As Put, but tells nobody until Announce.
  std::int64_t PutQuietly(const std::string& id, functions::v1::Function function);
  void Announce();

  void Start();
  void Stop();
  std::string tcp_address() const;
  std::string inproc_address() const { return "inproc:" + name_; }
  // What the watches so far began from.
  std::vector<std::int64_t> from_revisions() const;
  // What executors said of versions.
  std::vector<ipb::ReportDeploymentRequest> reports() const;

 private:
  using Stream = rpc::ServerStream<ipb::WatchFunctionsResponse>;

  ipb::WatchFunctionsResponse ChangesAfter(std::int64_t revision) const;

  const std::string name_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  mutable std::mutex mutex_;
  std::int64_t revision_ = 0;
  std::map<std::string, ipb::FunctionChange> changes_;  // The last of each function.
  std::map<std::shared_ptr<Stream>, std::int64_t> streams_;
  std::vector<std::int64_t> from_revisions_;
  std::vector<ipb::ReportDeploymentRequest> reports_;
  int port_ = 0;
  std::unique_ptr<rpc::ServerHost> host_;
};

functions::v1::Function Noop();
functions::v1::Function HttpTo(const std::string& url);
functions::v1::Function Python(const std::string& source);

// For the names of parameterized tests.
inline std::string TransportName(const ::testing::TestParamInfo<bool>& parameter) {
  return parameter.param ? "InProcess" : "Tcp";
}

// The parameter says whether calls go in process; else over TCP.
class ExecutorTest : public ::testing::TestWithParam<bool> {
 protected:
  // One executor with a folder of its own.
  struct Node {
    explicit Node(Config settings);
    ~Node();
    void Start();
    void Stop(std::chrono::milliseconds deadline = std::chrono::seconds(5));

    Config config;
    metrics::Registry metrics;
    lifecycle::Readiness readiness;
    std::unique_ptr<App> app;
  };

  ExecutorTest();
  ~ExecutorTest() override;

  Config MakeConfig(const std::string& name);
  // Starts the executor of most tests, and waits until it knows the functions.
  void StartNode();
  static void WaitUntilReady(Node& node);
  std::shared_ptr<grpc::Channel> ChannelTo(const Node& node) const;

  pb::InvokeResponse Invoke(const std::string& function, const std::string& payload = "",
                            const std::string& content_type = "");
  grpc::Status TryInvoke(const pb::InvokeRequest& request, pb::InvokeResponse* response,
                         const std::string& min_revision = "");
  pb::ListExecutionsResponse List(const std::function<void(pb::ListExecutionsRequest&)>& change);
  // The ids of what a list gives, without the instance.
  static std::vector<std::string> NamesOf(const pb::ListExecutionsResponse& response);

  std::unique_ptr<DeliveryClient> OpenStream(const std::string& broker = "");
  // A delivery of an event `id` to `function`.
  static ipb::Invocation Delivery(const std::string& id, const std::string& function,
                                  const std::string& data = "{}");

  // The back end: "/hang" waits for Release; others echo.
  std::string Url(const std::string& path) const;
  void WaitForHanging(std::size_t count);
  void Release();
  std::size_t gone() const;
  // The requests so far.
  std::vector<http::Request> requests() const;

  TempFolder folder_;
  std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  std::unique_ptr<FakeManager> manager_;
  http::EventLoops loops_;
  std::unique_ptr<http::Server> back_end_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<http::Exchange>> hanging_;
  std::size_t gone_ = 0;
  std::vector<http::Request> requests_;
  std::unique_ptr<Node> node_;
};

}  // namespace penstock::executor
