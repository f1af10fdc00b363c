// The public gRPC face: translates, and leaves every rule to the domain.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "libs/rpc/call_context.h"
#include "libs/rpc/peer_auth.h"
#include "penstock/functions/v1/manager_service.grpc.pb.h"
#include "services/function-manager/api/call_metrics.h"
#include "services/function-manager/domain/function_catalog.h"

namespace penstock::functions {

// Serves FunctionManagerService. RPCs that this release has no rules for answer UNIMPLEMENTED,
// naming the RPC. Thread-safe; `catalog` and `metrics` must outlive the server.
class FunctionManagerApi final
    : public penstock::functions::v1::FunctionManagerService::CallbackService {
 public:
  // The caller's principal is believed only next to a token that `peer_auth` accepts.
  FunctionManagerApi(FunctionCatalog& catalog, CallMetrics& metrics,
                     std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : catalog_(catalog), metrics_(metrics), peer_auth_(std::move(peer_auth)) {}

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

// The RPCs that this release refuses.
#define PENSTOCK_UNAVAILABLE_RPC(method, Request, Response)                         \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,            \
                                   const penstock::functions::v1::Request* request, \
                                   Response* response) override {                   \
    return Refuse(context, request, response, #method);                             \
  }
  PENSTOCK_UNAVAILABLE_RPC(SetTraffic, SetTrafficRequest, penstock::functions::v1::Function)
  PENSTOCK_UNAVAILABLE_RPC(RollbackFunction, RollbackFunctionRequest,
                           penstock::functions::v1::Function)
  PENSTOCK_UNAVAILABLE_RPC(SetFunctionAlias, SetFunctionAliasRequest,
                           penstock::functions::v1::FunctionAlias)
  PENSTOCK_UNAVAILABLE_RPC(DeleteFunctionAlias, DeleteFunctionAliasRequest, google::protobuf::Empty)
  PENSTOCK_UNAVAILABLE_RPC(ListFunctionAliases, ListFunctionAliasesRequest,
                           penstock::functions::v1::ListFunctionAliasesResponse)
  PENSTOCK_UNAVAILABLE_RPC(CreateSecret, CreateSecretRequest, penstock::functions::v1::Secret)
  PENSTOCK_UNAVAILABLE_RPC(GetSecret, GetSecretRequest, penstock::functions::v1::Secret)
  PENSTOCK_UNAVAILABLE_RPC(ListSecrets, ListSecretsRequest,
                           penstock::functions::v1::ListSecretsResponse)
  PENSTOCK_UNAVAILABLE_RPC(UpdateSecret, UpdateSecretRequest, penstock::functions::v1::Secret)
  PENSTOCK_UNAVAILABLE_RPC(DeleteSecret, DeleteSecretRequest, google::protobuf::Empty)
  PENSTOCK_UNAVAILABLE_RPC(RotateSecretKey, RotateSecretKeyRequest,
                           penstock::functions::v1::RotateSecretKeyResponse)
#undef PENSTOCK_UNAVAILABLE_RPC
  grpc::ServerReadReactor<penstock::functions::v1::UploadSourceRequest>* UploadSource(
      grpc::CallbackServerContext* context,
      penstock::functions::v1::UploadSourceResponse* response) override;
  grpc::ServerWriteReactor<penstock::functions::v1::DownloadSourceResponse>* DownloadSource(
      grpc::CallbackServerContext* context,
      const penstock::functions::v1::DownloadSourceRequest* request) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const Request* request,
                                   Response* response, std::string_view rpc) {
    return rpc::ServeUnary(
        context, request, response,
        [this, rpc](const Request&, Response*, rpc::CallContext&, const rpc::ServerDone& done) {
          CountedDone(metrics_, rpc, done)(Unavailable(rpc));
        });
  }

  static absl::Status Unavailable(std::string_view rpc);
  // Empty without a valid peer token.
  std::string PrincipalOf(const rpc::CallContext& context) const;
  // Answers a change: the revision goes into the trailing metadata; `fill` writes the response.
  static FunctionCatalog::Done<Mutation> Answer(rpc::CallContext& context, CountedDone done,
                                                std::function<void(const Mutation&)> fill);

  FunctionCatalog& catalog_;
  CallMetrics& metrics_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
};

}  // namespace penstock::functions
