// The public gRPC face: translates, and leaves every rule to the domain.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/base/worker_pool.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/peer_auth.h"
#include "penstock/functions/v1/manager_service.grpc.pb.h"
#include "services/function-manager/api/call_metrics.h"
#include "services/function-manager/domain/function_catalog.h"
#include "services/function-manager/domain/secret_catalog.h"
#include "services/function-manager/domain/source_keeper.h"
#include "services/function-manager/domain/space_middleware.h"
#include "services/function-manager/domain/traffic_catalog.h"

namespace penstock::functions {

// Serves FunctionManagerService. Thread-safe; all that it is given must outlive the server.
class FunctionManagerApi final
    : public penstock::functions::v1::FunctionManagerService::CallbackService {
 public:
  // The caller's principal is believed only next to a token that `peer_auth` accepts. Files of
  // sources are read and written on `source_pool`.
  FunctionManagerApi(FunctionCatalog& catalog, TrafficCatalog& traffic, SecretCatalog& secrets,
                     SpaceMiddlewareCatalog& middleware, SourceKeeper& sources,
                     WorkerPool& source_pool, CallMetrics& metrics,
                     std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : catalog_(catalog),
        traffic_(traffic),
        secrets_(secrets),
        middleware_(middleware),
        sources_(sources),
        source_pool_(source_pool),
        metrics_(metrics),
        peer_auth_(std::move(peer_auth)) {}

  grpc::ServerUnaryReactor* CreateFunction(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::CreateFunctionRequest* request,
      penstock::functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* GetFunction(grpc::CallbackServerContext* context,
                                        const penstock::functions::v1::GetFunctionRequest* request,
                                        penstock::functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* ListFunctions(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::ListFunctionsRequest* request,
      penstock::functions::v1::ListFunctionsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateFunction(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::UpdateFunctionRequest* request,
      penstock::functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* DeleteFunction(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::DeleteFunctionRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListFunctionVersions(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::ListFunctionVersionsRequest* request,
      penstock::functions::v1::ListFunctionVersionsResponse* response) override;

  grpc::ServerUnaryReactor* SetTraffic(grpc::CallbackServerContext* context,
                                       const penstock::functions::v1::SetTrafficRequest* request,
                                       penstock::functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* RollbackFunction(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::RollbackFunctionRequest* request,
      penstock::functions::v1::Function* response) override;
  grpc::ServerUnaryReactor* SetFunctionAlias(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::SetFunctionAliasRequest* request,
      penstock::functions::v1::FunctionAlias* response) override;
  grpc::ServerUnaryReactor* DeleteFunctionAlias(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::DeleteFunctionAliasRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListFunctionAliases(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::ListFunctionAliasesRequest* request,
      penstock::functions::v1::ListFunctionAliasesResponse* response) override;

  grpc::ServerUnaryReactor* CreateSecret(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::CreateSecretRequest* request,
      penstock::functions::v1::Secret* response) override;
  grpc::ServerUnaryReactor* GetSecret(grpc::CallbackServerContext* context,
                                      const penstock::functions::v1::GetSecretRequest* request,
                                      penstock::functions::v1::Secret* response) override;
  grpc::ServerUnaryReactor* ListSecrets(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::ListSecretsRequest* request,
      penstock::functions::v1::ListSecretsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSecret(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::UpdateSecretRequest* request,
      penstock::functions::v1::Secret* response) override;
  grpc::ServerUnaryReactor* DeleteSecret(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::DeleteSecretRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* RotateSecretKey(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::RotateSecretKeyRequest* request,
      penstock::functions::v1::RotateSecretKeyResponse* response) override;

  grpc::ServerUnaryReactor* GetSpaceMiddleware(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::GetSpaceMiddlewareRequest* request,
      penstock::functions::v1::SpaceMiddleware* response) override;
  grpc::ServerUnaryReactor* UpdateSpaceMiddleware(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::UpdateSpaceMiddlewareRequest* request,
      penstock::functions::v1::SpaceMiddleware* response) override;

  grpc::ServerReadReactor<penstock::functions::v1::UploadSourceRequest>* UploadSource(
      grpc::CallbackServerContext* context,
      penstock::functions::v1::UploadSourceResponse* response) override;
  grpc::ServerWriteReactor<google::api::HttpBody>* DownloadSource(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::DownloadSourceRequest* request) override;

 private:
  // Empty without a valid peer token.
  std::string PrincipalOf(const rpc::CallContext& context) const;
  // Answers a change: the revision goes into the trailing metadata; `fill` writes the response.
  static FunctionCatalog::Done<Mutation> Answer(rpc::CallContext& context, CountedDone done,
                                                std::function<void(const Mutation&)> fill);

  FunctionCatalog& catalog_;
  TrafficCatalog& traffic_;
  SecretCatalog& secrets_;
  SpaceMiddlewareCatalog& middleware_;
  SourceKeeper& sources_;
  WorkerPool& source_pool_;
  CallMetrics& metrics_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
};

}  // namespace penstock::functions
