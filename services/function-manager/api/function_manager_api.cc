#include "services/function-manager/api/function_manager_api.h"

#include <map>
#include <utility>

#include "services/function-manager/api/convert.h"
#include "services/function-manager/api/revision.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::functions::v1;

}  // namespace

std::string FunctionManagerApi::PrincipalOf(const rpc::CallContext& context) const {
  if (context.principal().empty() || !peer_auth_->Check(context).ok()) return {};
  return std::string(context.principal());
}

FunctionCatalog::Done<Mutation> FunctionManagerApi::Answer(
    rpc::CallContext& context, CountedDone done, std::function<void(const Mutation&)> fill) {
  return [&context, done = std::move(done),
          fill = std::move(fill)](absl::StatusOr<Mutation> mutation) {
    if (!mutation.ok()) return done(mutation.status());
    fill(*mutation);
    if (mutation->revision != 0) context.set_revision(RevisionText(mutation->revision));
    done(absl::OkStatus());
  };
}

grpc::ServerUnaryReactor* FunctionManagerApi::CreateFunction(
    grpc::CallbackServerContext* context, const pb::CreateFunctionRequest* request,
    pb::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CreateFunctionRequest& given, pb::Function* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        catalog_.Create({.parent = given.parent(),
                         .function_id = given.function_id(),
                         .input = FromProto(given.function()),
                         .principal = PrincipalOf(call),
                         .is_validate_only = given.validate_only()},
                        Answer(call, CountedDone(metrics_, "CreateFunction", done),
                               [answer](const Mutation& made) { ToProto(made.function, answer); }));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::GetFunction(grpc::CallbackServerContext* context,
                                                          const pb::GetFunctionRequest* request,
                                                          pb::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetFunctionRequest& given, pb::Function* answer, rpc::CallContext&,
             const rpc::ServerDone& done) {
        catalog_.Get(given.name(), [answer, counted = CountedDone(metrics_, "GetFunction", done)](
                                       absl::StatusOr<Function> function) {
          if (function.ok()) ToProto(*function, answer);
          counted(function.status());
        });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::ListFunctions(grpc::CallbackServerContext* context,
                                                            const pb::ListFunctionsRequest* request,
                                                            pb::ListFunctionsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListFunctionsRequest& given, pb::ListFunctionsResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        catalog_.List({.parent = given.parent(),
                       .page_size = given.page_size(),
                       .page_token = given.page_token(),
                       .metadata = {given.metadata().begin(), given.metadata().end()},
                       .creator = given.creator(),
                       .principal = PrincipalOf(call)},
                      [answer, counted = CountedDone(metrics_, "ListFunctions", done)](
                          absl::StatusOr<ListResult> result) {
                        if (!result.ok()) return counted(result.status());
                        for (const Function& function : result->functions) {
                          ToProto(function, answer->add_functions());
                        }
                        answer->set_next_page_token(result->next_page_token);
                        counted(absl::OkStatus());
                      });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::UpdateFunction(
    grpc::CallbackServerContext* context, const pb::UpdateFunctionRequest* request,
    pb::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::UpdateFunctionRequest& given, pb::Function* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        catalog_.Update(
            {.name = given.function().name(),
             .etag = given.function().etag(),
             .input = FromProto(given.function()),
             .mask = {given.update_mask().paths().begin(), given.update_mask().paths().end()},
             .principal = PrincipalOf(call),
             .is_validate_only = given.validate_only(),
             .allow_missing = given.allow_missing()},
            Answer(call, CountedDone(metrics_, "UpdateFunction", done),
                   [answer](const Mutation& made) { ToProto(made.function, answer); }));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::DeleteFunction(
    grpc::CallbackServerContext* context, const pb::DeleteFunctionRequest* request,
    google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::DeleteFunctionRequest& given, google::protobuf::Empty*,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        catalog_.Delete(
            {.name = given.name(), .etag = given.etag(), .allow_missing = given.allow_missing()},
            Answer(call, CountedDone(metrics_, "DeleteFunction", done), [](const Mutation&) {}));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::ListFunctionVersions(
    grpc::CallbackServerContext* context, const pb::ListFunctionVersionsRequest* request,
    pb::ListFunctionVersionsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListFunctionVersionsRequest& given, pb::ListFunctionVersionsResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        catalog_.ListVersions(
            {.parent = given.parent(),
             .page_size = given.page_size(),
             .page_token = given.page_token()},
            [answer, counted = CountedDone(metrics_, "ListFunctionVersions", done)](
                absl::StatusOr<ListResult> result) {
              if (!result.ok()) return counted(result.status());
              for (const Function& version : result->functions) {
                ToProto(version, answer->add_versions());
              }
              answer->set_next_page_token(result->next_page_token);
              counted(absl::OkStatus());
            });
      });
}

}  // namespace penstock::functions
