// The function-manager as its callers see it, over TCP and in process.
#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/status.h"
#include "penstock/functions/v1/manager_service.grpc.pb.h"
#include "penstock/internal/v1/registry_service.grpc.pb.h"
#include "services/function-manager/app/app.h"

namespace penstock::functions {

namespace pb = penstock::functions::v1;
namespace pbi = penstock::internal::v1;

enum class Transport { kTcp, kInProcess };

// A folder that is removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string File(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// A context with a deadline of ten seconds.
std::unique_ptr<grpc::ClientContext> NewContext();

// Runs the app and calls it. The calls block: they are a test's, not a reaction's.
class FunctionManagerTest : public testing::TestWithParam<Transport> {
 protected:
  FunctionManagerTest();
  ~FunctionManagerTest() override;

  // Starts the app on the test's folder; stops it first when it runs.
  void Restart();
  void StopApp();
  Config TestConfig() const;

  // A call of a blocking stub method: absl's status and the answer.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, const std::function<void(grpc::ClientContext&)>& prepare = {},
      std::string* revision = nullptr) {
    auto context = NewContext();
    if (prepare) prepare(*context);
    Response response;
    const grpc::Status status = (stub.*method)(context.get(), request, &response);
    if (revision != nullptr) *revision = TrailingRevision(*context);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }
  static std::string TrailingRevision(const grpc::ClientContext& context);

  // Adds the peer token.
  std::function<void(grpc::ClientContext&)> AsPeer() const;
  // As the gateway does for an authenticated caller.
  std::function<void(grpc::ClientContext&)> AsPrincipal(const std::string& principal) const;

  absl::StatusOr<pb::Function> Create(const std::string& id, const pb::Function& function,
                                      std::string* revision = nullptr);
  absl::StatusOr<pb::Function> Create(const std::string& id);
  absl::StatusOr<pb::Function> Get(const std::string& id);
  absl::StatusOr<pb::Function> Update(const pb::UpdateFunctionRequest& request,
                                      std::string* revision = nullptr);
  absl::Status Delete(const std::string& id, const std::string& etag = "",
                      std::string* revision = nullptr);
  absl::StatusOr<pbi::AcquireFunctionReferenceResponse> Acquire(const std::string& id,
                                                                const std::string& holder);
  absl::Status Release(const std::string& id, const std::string& holder);

  static std::string NameOf(const std::string& id) { return "spaces/default/functions/" + id; }
  static std::string HolderOf(const std::string& id) {
    return "spaces/default/subscriptions/" + id;
  }
  static pb::Function Http(const std::string& url = "http://127.0.0.1:9999/");
  static pb::Function Python(const std::string& source = "def handle(c, p): return p\n");

  // Of the configuration, for tests that need others.
  std::size_t sources_bytes_max_ = std::size_t{64} << 20;
  Microseconds sources_grace_{3600 * 1'000'000LL};
  TestFolder folder_;
  metrics::Registry metrics_;
  lifecycle::Readiness readiness_;
  std::unique_ptr<App> app_;
  std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<pb::FunctionManagerService::Stub> manager_;
  std::unique_ptr<pbi::FunctionRegistryService::Stub> registry_;
};

}  // namespace penstock::functions
