#include "services/function-executor/registry/deployment_client.h"

#include <penstock/internal/v1/registry.pb.h>

#include <chrono>
#include <utility>

#include "fmt/format.h"
#include "libs/log/log.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr char kMethod[] = "/penstock.internal.v1.FunctionRegistryService/ReportDeployment";
constexpr std::chrono::milliseconds kTimeout{10'000};

}  // namespace

DeploymentClient::DeploymentClient(std::string address,
                                   std::shared_ptr<const rpc::PeerAuth> peer_auth)
    : calls_({.address = std::move(address),
              .peer = "the function-manager",
              .setting = "function_manager.address",
              .timeout = kTimeout,
              .peer_auth = std::move(peer_auth)}) {}

void DeploymentClient::Report(const DeploymentReport& report,
                              std::function<void(absl::StatusOr<bool>)> done) {
  pb::ReportDeploymentRequest request;
  request.set_function(fmt::format("spaces/{}/functions/{}", report.space, report.id));
  request.set_uid(report.uid);
  request.set_version(report.version);
  request.set_state(report.is_ready ? functions::v1::Function::READY
                                    : functions::v1::Function::FAILED);
  request.set_reason(report.reason);
  if (!report.is_ready) {
    log::Warn(
        "a function's version does not start",
        {{"function", request.function()}, {"version", report.version}, {"reason", report.reason}});
  }
  using Response = pb::ReportDeploymentResponse;
  calls_.Call<Response>(kMethod, request,
                        [done = std::move(done)](const absl::StatusOr<Response>& response) {
                          if (!response.ok()) return done(response.status());
                          done(response->state() == functions::v1::Function::READY);
                        });
}

}  // namespace penstock::executor
