// The gRPC face for other services.
#pragma once

#include <memory>
#include <string_view>

#include "libs/rpc/peer_auth.h"
#include "penstock/internal/v1/registry_service.grpc.pb.h"
#include "services/function-manager/api/call_metrics.h"
#include "services/function-manager/domain/change_feed.h"
#include "services/function-manager/domain/deployment_keeper.h"
#include "services/function-manager/domain/reference_keeper.h"
#include "services/function-manager/ports/secret_cipher.h"

namespace penstock::functions {

// Serves FunctionRegistryService to callers with the peer credential. Thread-safe; `keeper`,
// `deployments`, `feed` and `metrics` must outlive the server.
class FunctionRegistryApi final
    : public penstock::internal::v1::FunctionRegistryService::CallbackService {
 public:
  FunctionRegistryApi(ReferenceKeeper& keeper, DeploymentKeeper& deployments, ChangeFeed& feed,
                      const SecretCipher& cipher, CallMetrics& metrics,
                      std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : keeper_(keeper),
        deployments_(deployments),
        feed_(feed),
        cipher_(cipher),
        metrics_(metrics),
        peer_auth_(std::move(peer_auth)) {}

  grpc::ServerWriteReactor<penstock::internal::v1::WatchFunctionsResponse>* WatchFunctions(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::WatchFunctionsRequest* request) override;
  grpc::ServerUnaryReactor* AcquireFunctionReference(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::AcquireFunctionReferenceRequest* request,
      penstock::internal::v1::AcquireFunctionReferenceResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseFunctionReference(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::ReleaseFunctionReferenceRequest* request,
      penstock::internal::v1::ReleaseFunctionReferenceResponse* response) override;
  grpc::ServerUnaryReactor* ReportDeployment(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::ReportDeploymentRequest* request,
      penstock::internal::v1::ReportDeploymentResponse* response) override;
  grpc::ServerUnaryReactor* ReconcileFunctionReferences(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::ReconcileFunctionReferencesRequest* request,
      penstock::internal::v1::ReconcileFunctionReferencesResponse* response) override;

 private:
  // Serves a call with `handler(request, answer, call, done)` when the caller is a service, else
  // refuses it.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* ServePeer(grpc::CallbackServerContext* context, const Request* request,
                                      Response* response, std::string_view rpc, Handler handler);

  ReferenceKeeper& keeper_;
  DeploymentKeeper& deployments_;
  ChangeFeed& feed_;
  const SecretCipher& cipher_;
  CallMetrics& metrics_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
};

}  // namespace penstock::functions
