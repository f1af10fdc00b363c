#include "tests/contract/function-manager/fixture.h"

#include <stdlib.h>

#include <chrono>
#include <utility>

#include "libs/rpc/channel.h"
#include "libs/rpc/metadata.h"

namespace penstock::functions {

TestFolder::TestFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "penstock-fm-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TestFolder::~TestFolder() { std::filesystem::remove_all(path_); }

std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return context;
}

FunctionManagerTest::FunctionManagerTest() { Restart(); }

FunctionManagerTest::~FunctionManagerTest() { StopApp(); }

Config FunctionManagerTest::TestConfig() const {
  Config config;
  config.grpc_listen = GetParam() == Transport::kTcp ? "127.0.0.1:0" : "inproc:";
  config.data_dir = folder_.File("data");
  config.peer_token_file = folder_.File("peer.token");
  config.sources_bytes_max = sources_bytes_max_;
  config.sources_grace = sources_grace_;
  return config;
}

void FunctionManagerTest::Restart() {
  StopApp();
  auto app = App::Create(TestConfig(), {SystemClock(), metrics_, readiness_});
  ASSERT_TRUE(app.ok()) << app.status();
  app_ = *std::move(app);
  const absl::Status started = app_->Start();
  ASSERT_TRUE(started.ok()) << started;
  auto peer_auth = rpc::PeerAuth::Load(folder_.File("peer.token"));
  ASSERT_TRUE(peer_auth.ok()) << peer_auth.status();
  peer_auth_ = *std::move(peer_auth);
  const std::string address = GetParam() == Transport::kTcp
                                  ? "127.0.0.1:" + std::to_string(app_->port())
                                  : "inproc:function-manager";
  auto channel = rpc::MakeChannel(address, {.own_connection = true});
  ASSERT_TRUE(channel.ok()) << channel.status();
  channel_ = *std::move(channel);
  manager_ = pb::FunctionManagerService::NewStub(channel_);
  registry_ = pbi::FunctionRegistryService::NewStub(channel_);
}

void FunctionManagerTest::StopApp() {
  manager_.reset();
  registry_.reset();
  channel_.reset();
  if (app_ == nullptr) return;
  EXPECT_TRUE(app_->Stop(std::chrono::seconds(4)).ok());
  app_.reset();
}

std::string FunctionManagerTest::TrailingRevision(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(rpc::kRevisionKey);
  return found == trailing.end() ? "" : std::string(found->second.data(), found->second.size());
}

std::function<void(grpc::ClientContext&)> FunctionManagerTest::AsPeer() const {
  return [auth = peer_auth_](grpc::ClientContext& context) { auth->Attach(context); };
}

std::function<void(grpc::ClientContext&)> FunctionManagerTest::AsPrincipal(
    const std::string& principal) const {
  return [auth = peer_auth_, principal](grpc::ClientContext& context) {
    auth->Attach(context);
    context.AddMetadata(rpc::kPrincipalKey, principal);
  };
}

absl::StatusOr<pb::Function> FunctionManagerTest::Create(const std::string& id,
                                                         const pb::Function& function,
                                                         std::string* revision) {
  pb::CreateFunctionRequest request;
  request.set_parent("spaces/default");
  request.set_function_id(id);
  *request.mutable_function() = function;
  return Call(*manager_, &pb::FunctionManagerService::Stub::CreateFunction, request, {}, revision);
}

absl::StatusOr<pb::Function> FunctionManagerTest::Create(const std::string& id) {
  return Create(id, Http());
}

absl::StatusOr<pb::Function> FunctionManagerTest::Get(const std::string& id) {
  pb::GetFunctionRequest request;
  request.set_name(NameOf(id));
  return Call(*manager_, &pb::FunctionManagerService::Stub::GetFunction, request);
}

absl::StatusOr<pb::Function> FunctionManagerTest::Update(const pb::UpdateFunctionRequest& request,
                                                         std::string* revision) {
  return Call(*manager_, &pb::FunctionManagerService::Stub::UpdateFunction, request, {}, revision);
}

absl::Status FunctionManagerTest::Delete(const std::string& id, const std::string& etag,
                                         std::string* revision) {
  pb::DeleteFunctionRequest request;
  request.set_name(NameOf(id));
  request.set_etag(etag);
  return Call(*manager_, &pb::FunctionManagerService::Stub::DeleteFunction, request, {}, revision)
      .status();
}

absl::StatusOr<pbi::AcquireFunctionReferenceResponse> FunctionManagerTest::Acquire(
    const std::string& id, const std::string& holder) {
  pbi::AcquireFunctionReferenceRequest request;
  request.set_function(NameOf(id));
  request.set_holder(HolderOf(holder));
  return Call(*registry_, &pbi::FunctionRegistryService::Stub::AcquireFunctionReference, request,
              AsPeer());
}

absl::Status FunctionManagerTest::Release(const std::string& id, const std::string& holder) {
  pbi::ReleaseFunctionReferenceRequest request;
  request.set_function(NameOf(id));
  request.set_holder(HolderOf(holder));
  return Call(*registry_, &pbi::FunctionRegistryService::Stub::ReleaseFunctionReference, request,
              AsPeer())
      .status();
}

pb::Function FunctionManagerTest::Http(const std::string& url) {
  pb::Function function;
  function.mutable_http()->set_url(url);
  return function;
}

pb::Function FunctionManagerTest::Python(const std::string& source) {
  pb::Function function;
  function.mutable_process()->set_runtime("python3");
  function.mutable_process()->set_source(source);
  return function;
}

namespace {

std::string TransportName(const testing::TestParamInfo<Transport>& test) {
  return test.param == Transport::kTcp ? "Tcp" : "InProcess";
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Over, FunctionManagerTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess), TransportName);

}  // namespace penstock::functions
