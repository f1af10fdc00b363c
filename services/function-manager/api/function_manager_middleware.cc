// The part of the public face that is about the steps of spaces.
#include <utility>

#include "libs/rpc/server_unary.h"
#include "services/function-manager/api/convert.h"
#include "services/function-manager/api/function_manager_api.h"
#include "services/function-manager/api/revision.h"

namespace penstock::functions {

namespace pb = penstock::functions::v1;

grpc::ServerUnaryReactor* FunctionManagerApi::GetSpaceMiddleware(
    grpc::CallbackServerContext* context, const pb::GetSpaceMiddlewareRequest* request,
    pb::SpaceMiddleware* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetSpaceMiddlewareRequest& given, pb::SpaceMiddleware* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        middleware_.Get(given.name(),
                        [answer, counted = CountedDone(metrics_, "GetSpaceMiddleware", done)](
                            absl::StatusOr<SpaceMiddleware> found) {
                          if (found.ok()) ToProto(*found, answer);
                          counted(found.status());
                        });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::UpdateSpaceMiddleware(
    grpc::CallbackServerContext* context, const pb::UpdateSpaceMiddlewareRequest* request,
    pb::SpaceMiddleware* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::UpdateSpaceMiddlewareRequest& given, pb::SpaceMiddleware* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const pb::SpaceMiddleware& wanted = given.space_middleware();
        middleware_.Update(
            wanted.name(), wanted.etag(), StepsFromProto(wanted.middleware()),
            [&call, answer, counted = CountedDone(metrics_, "UpdateSpaceMiddleware", done)](
                absl::StatusOr<SpaceMiddlewareMutation> mutation) {
              if (!mutation.ok()) return counted(mutation.status());
              ToProto(mutation->middleware, answer);
              if (mutation->revision != 0) call.set_revision(RevisionText(mutation->revision));
              counted(absl::OkStatus());
            });
      });
}

}  // namespace penstock::functions
