#include "tests/contract/function-executor/fixture.h"

#include <stdlib.h>

#include <filesystem>
#include <thread>
#include <utility>

#include "libs/base/ids.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/http/url.h"
#include "libs/rpc/server_unary.h"

namespace penstock::executor {

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}

TempFolder::~TempFolder() { std::filesystem::remove_all(path_); }

FakeManager::FakeManager(std::string name, std::shared_ptr<const rpc::PeerAuth> peer_auth)
    : name_(std::move(name)), peer_auth_(std::move(peer_auth)) {
  Start();
}

FakeManager::~FakeManager() { Stop(); }

void FakeManager::Start() {
  rpc::ServerOptions options;
  options.name = name_;
  // The same port after a restart, as a service has.
  options.address = "127.0.0.1:" + std::to_string(port_);
  options.services = {this};
  auto host = rpc::ServerHost::Start(std::move(options));
  ASSERT_TRUE(host.ok()) << host.status();
  host_ = *std::move(host);
  port_ = host_->port();
}

void FakeManager::Stop() {
  std::map<std::shared_ptr<Stream>, std::int64_t> streams;
  {
    const std::lock_guard lock(mutex_);
    streams.swap(streams_);
  }
  for (const auto& [stream, sent] : streams) stream->Finish(absl::UnavailableError("stopping"));
  streams.clear();
  if (host_) host_->Stop(std::chrono::seconds(2));
  host_.reset();
}

std::string FakeManager::tcp_address() const { return "127.0.0.1:" + std::to_string(port_); }

ipb::WatchFunctionsResponse FakeManager::ChangesAfter(std::int64_t revision) const {
  ipb::WatchFunctionsResponse response;
  for (const auto& [id, change] : changes_) {
    if (change.revision() > revision) *response.add_changes() = change;
  }
  response.set_revision(revision_);
  return response;
}

grpc::ServerWriteReactor<ipb::WatchFunctionsResponse>* FakeManager::WatchFunctions(
    grpc::CallbackServerContext* context, const ipb::WatchFunctionsRequest* request) {
  return Stream::Serve(
      context, request, rpc::ServerStreamLimits{},
      [this](const ipb::WatchFunctionsRequest& given, const std::shared_ptr<Stream>& stream) {
        if (const absl::Status peer = peer_auth_->Check(stream->context()); !peer.ok()) {
          return stream->Finish(peer);
        }
        stream->set_on_done([this, weak = std::weak_ptr(stream)](const absl::Status&) {
          const std::lock_guard lock(mutex_);
          if (const auto ended = weak.lock()) streams_.erase(ended);
        });
        const std::lock_guard lock(mutex_);
        from_revisions_.push_back(given.from_revision());
        ipb::WatchFunctionsResponse response = ChangesAfter(given.from_revision());
        if (given.from_revision() == 0) {
          // In two messages, as a large one would come.
          ipb::WatchFunctionsResponse begin;
          begin.set_snapshot_begin(true);
          EXPECT_TRUE(stream->Write(begin));
          response.set_snapshot_end(true);
        }
        EXPECT_TRUE(stream->Write(std::move(response)));
        streams_.emplace(stream, revision_);
      });
}

grpc::ServerUnaryReactor* FakeManager::ReportDeployment(grpc::CallbackServerContext* context,
                                                        const ipb::ReportDeploymentRequest* request,
                                                        ipb::ReportDeploymentResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const ipb::ReportDeploymentRequest& given, ipb::ReportDeploymentResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        if (const absl::Status peer = peer_auth_->Check(call); !peer.ok()) {
          return done(peer);
        }
        answer->set_state(given.state());
        {
          const std::lock_guard lock(mutex_);
          reports_.push_back(given);
        }
        done(absl::OkStatus());
      });
}

std::vector<ipb::ReportDeploymentRequest> FakeManager::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

std::int64_t FakeManager::PutQuietly(const std::string& id, functions::v1::Function function) {
  const std::lock_guard lock(mutex_);
  ipb::FunctionChange& change = changes_[id];
  const std::int64_t version = change.deleted() ? 1 : change.function().version() + 1;
  const std::string uid = version == 1 ? NewUuid() : change.function().uid();
  function.set_name("spaces/default/functions/" + id);
  function.set_uid(uid);
  function.set_version(version);
  if (function.state() == functions::v1::Function::STATE_UNSPECIFIED) {
    function.set_state(functions::v1::Function::READY);
  }
  change.set_revision(++revision_);
  change.set_deleted(false);
  *change.mutable_function() = std::move(function);
  return revision_;
}

std::int64_t FakeManager::Put(const std::string& id, functions::v1::Function function) {
  const std::int64_t revision = PutQuietly(id, std::move(function));
  Announce();
  return revision;
}

void FakeManager::SetSecret(const std::string& id, const ipb::ResolvedSecret& secret) {
  const std::lock_guard lock(mutex_);
  *changes_[id].add_secrets() = secret;
}

std::int64_t FakeManager::Delete(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    changes_[id].set_revision(++revision_);
    changes_[id].set_deleted(true);
  }
  Announce();
  const std::lock_guard lock(mutex_);
  return revision_;
}

void FakeManager::Announce() {
  const std::lock_guard lock(mutex_);
  for (auto& [stream, sent] : streams_) {
    EXPECT_TRUE(stream->Write(ChangesAfter(sent)));
    sent = revision_;
  }
}

std::vector<std::int64_t> FakeManager::from_revisions() const {
  const std::lock_guard lock(mutex_);
  return from_revisions_;
}

functions::v1::Function Noop() {
  functions::v1::Function function;
  function.mutable_noop();
  return function;
}

functions::v1::Function HttpTo(const std::string& url) {
  functions::v1::Function function;
  function.mutable_http()->set_url(url);
  return function;
}

functions::v1::Function Python(const std::string& source) {
  functions::v1::Function function;
  function.mutable_process()->set_runtime("python3");
  function.mutable_process()->set_source(source);
  return function;
}

ExecutorTest::Node::Node(Config settings) : config(std::move(settings)) { Start(); }

ExecutorTest::Node::~Node() { Stop(); }

void ExecutorTest::Node::Start() {
  auto created = App::Create(config, {SystemClock(), metrics, readiness});
  ASSERT_TRUE(created.ok()) << created.status();
  app = *std::move(created);
  const absl::Status started = app->Start();
  ASSERT_TRUE(started.ok()) << started;
}

void ExecutorTest::Node::Stop(std::chrono::milliseconds deadline) {
  if (!app) return;
  EXPECT_TRUE(app->Stop(deadline).ok());
  app.reset();
}

ExecutorTest::ExecutorTest() {
  peer_auth_ = *rpc::PeerAuth::Load(folder_.path() + "/peer.token");
  manager_ = std::make_unique<FakeManager>("manager-of-executor-test", peer_auth_);
  auto server = http::Server::Start(
      loops_, {}, [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
        }
        if (request.path() == "/hang") {
          exchange->OnClosed([this] {
            const std::lock_guard lock(mutex_);
            ++gone_;
          });
          const std::lock_guard lock(mutex_);
          hanging_.push_back(std::move(exchange));
          return;
        }
        if (request.path() == "/fail") {
          return exchange->Respond(http::Response::Text(500, "broken"));
        }
        if (request.path() == "/busy") {
          auto response = http::Response::Text(429, "later");
          response.headers.Set("Retry-After", "7");
          return exchange->Respond(std::move(response));
        }
        if (request.path().starts_with("/json")) {
          // Answers with what the query says.
          auto answer = http::PercentDecode(request.query());
          return exchange->Respond(http::Response::Json(200, answer.value_or("")));
        }
        exchange->Respond(http::Response::Text(200, request.method + " " + request.body));
      });
  back_end_ = *std::move(server);
}

ExecutorTest::~ExecutorTest() {
  node_.reset();
  manager_.reset();
  hanging_.clear();
  back_end_->Stop();
  loops_.Stop();
}

Config ExecutorTest::MakeConfig(const std::string& name) {
  Config config;
  config.grpc_listen = GetParam() ? "inproc:" : "127.0.0.1:0";
  config.data_dir = folder_.path() + "/" + name;
  config.function_manager_address =
      GetParam() ? manager_->inproc_address() : manager_->tcp_address();
  config.peer_token_file = folder_.path() + "/peer.token";
  config.egress_allow = {"127.0.0.1"};
  config.process.launcher = PENSTOCK_LAUNCHER;
  config.server_name = name;
  return config;
}

void ExecutorTest::WaitUntilReady(Node& node) {
  ASSERT_TRUE(Eventually([&] { return node.readiness.Evaluate().ready; }))
      << node.readiness.Evaluate().ToJson();
}

void ExecutorTest::StartNode() {
  node_ = std::make_unique<Node>(MakeConfig("executor-of-test"));
  WaitUntilReady(*node_);
}

std::shared_ptr<grpc::Channel> ExecutorTest::ChannelTo(const Node& node) const {
  const std::string address = GetParam() ? "inproc:" + node.config.server_name
                                         : "127.0.0.1:" + std::to_string(node.app->port());
  auto channel = rpc::MakeChannel(address);
  EXPECT_TRUE(channel.ok()) << channel.status();
  return *channel;
}

grpc::Status ExecutorTest::TryInvoke(const pb::InvokeRequest& request, pb::InvokeResponse* response,
                                     const std::string& min_revision) {
  const auto stub = pb::FunctionExecutorService::NewStub(ChannelTo(*node_));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  if (!min_revision.empty()) context.AddMetadata("penstock-min-revision", min_revision);
  return stub->Invoke(&context, request, response);
}

pb::InvokeResponse ExecutorTest::Invoke(const std::string& function, const std::string& payload,
                                        const std::string& content_type) {
  pb::InvokeRequest request;
  request.set_name("spaces/default/functions/" + function);
  request.mutable_payload()->set_data(payload);
  request.mutable_payload()->set_content_type(content_type);
  pb::InvokeResponse response;
  const grpc::Status status = TryInvoke(request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

pb::ListExecutionsResponse ExecutorTest::List(
    const std::function<void(pb::ListExecutionsRequest&)>& change) {
  pb::ListExecutionsRequest request;
  request.set_parent("spaces/default");
  change(request);
  pb::ListExecutionsResponse response;
  grpc::ClientContext context;
  const grpc::Status status = pb::FunctionExecutorService::NewStub(ChannelTo(*node_))
                                  ->ListExecutions(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::vector<std::string> ExecutorTest::NamesOf(const pb::ListExecutionsResponse& response) {
  std::vector<std::string> names;
  for (const pb::Execution& execution : response.executions()) names.push_back(execution.name());
  return names;
}

std::unique_ptr<DeliveryClient> ExecutorTest::OpenStream(const std::string& broker) {
  return std::make_unique<DeliveryClient>(ChannelTo(*node_), peer_auth_, broker);
}

ipb::Invocation ExecutorTest::Delivery(const std::string& id, const std::string& function,
                                       const std::string& data) {
  cloudevents::CloudEvent event;
  event.set_id("event-" + id);
  event.set_source("/test");
  event.set_type("test.happened");
  event.set_spec_version("1.0");
  (*event.mutable_attributes())["datacontenttype"].set_ce_string("application/json");
  event.set_binary_data(data);
  ipb::Invocation invocation;
  invocation.set_delivery_id(id);
  invocation.set_attempt(1);
  invocation.set_epoch(1);
  invocation.set_function("spaces/default/functions/" + function);
  invocation.set_subscription("spaces/default/subscriptions/s1");
  invocation.mutable_timeout()->set_seconds(20);
  invocation.set_event(cloudevents::ToProtobuf(event));
  return invocation;
}

std::string ExecutorTest::Url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(back_end_->port()) + path;
}

void ExecutorTest::WaitForHanging(std::size_t count) {
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex_);
    return hanging_.size() >= count;
  }));
}

void ExecutorTest::Release() {
  std::vector<std::shared_ptr<http::Exchange>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(hanging_);
  }
  for (const auto& exchange : waiting) exchange->Respond(http::Response::Text(200, "released"));
}

std::vector<http::Request> ExecutorTest::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t ExecutorTest::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

}  // namespace penstock::executor
