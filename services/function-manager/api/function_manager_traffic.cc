// The part of the public face that is about versions: traffic and aliases.
#include <utility>
#include <vector>

#include "libs/rpc/server_unary.h"
#include "services/function-manager/api/convert.h"
#include "services/function-manager/api/function_manager_api.h"
#include "services/function-manager/api/revision.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::functions::v1;

void ToProto(const NamedAlias& alias, pb::FunctionAlias* message) {
  message->set_name(alias.name);
  message->set_version(alias.version);
  message->set_etag(alias.etag);
}

}  // namespace

grpc::ServerUnaryReactor* FunctionManagerApi::SetTraffic(grpc::CallbackServerContext* context,
                                                         const pb::SetTrafficRequest* request,
                                                         pb::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::SetTrafficRequest& given, pb::Function* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        std::vector<TrafficTarget> targets;
        for (const pb::TrafficTarget& target : given.targets()) {
          targets.push_back({target.version(), target.percent()});
        }
        traffic_.SetTraffic(
            {.name = given.name(), .etag = given.etag(), .targets = std::move(targets)},
            Answer(call, CountedDone(metrics_, "SetTraffic", done),
                   [answer](const Mutation& made) { functions::ToProto(made.function, answer); }));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::RollbackFunction(
    grpc::CallbackServerContext* context, const pb::RollbackFunctionRequest* request,
    pb::Function* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::RollbackFunctionRequest& given, pb::Function* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        traffic_.Rollback(
            {.name = given.name(), .etag = given.etag(), .version = given.version()},
            Answer(call, CountedDone(metrics_, "RollbackFunction", done),
                   [answer](const Mutation& made) { functions::ToProto(made.function, answer); }));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::SetFunctionAlias(
    grpc::CallbackServerContext* context, const pb::SetFunctionAliasRequest* request,
    pb::FunctionAlias* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::SetFunctionAliasRequest& given, pb::FunctionAlias* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        traffic_.SetAlias(
            {.name = given.alias().name(),
             .etag = given.alias().etag(),
             .version = given.alias().version()},
            [&call, answer, counted = CountedDone(metrics_, "SetFunctionAlias", done)](
                absl::StatusOr<NamedAlias> alias) {
              if (!alias.ok()) return counted(alias.status());
              ToProto(*alias, answer);
              call.set_revision(RevisionText(alias->revision));
              counted(absl::OkStatus());
            });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::DeleteFunctionAlias(
    grpc::CallbackServerContext* context, const pb::DeleteFunctionAliasRequest* request,
    google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::DeleteFunctionAliasRequest& given, google::protobuf::Empty*,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        traffic_.DeleteAlias({.name = given.name(), .etag = given.etag()},
                             [&call, counted = CountedDone(metrics_, "DeleteFunctionAlias", done)](
                                 absl::StatusOr<std::int64_t> revision) {
                               if (!revision.ok()) return counted(revision.status());
                               call.set_revision(RevisionText(*revision));
                               counted(absl::OkStatus());
                             });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::ListFunctionAliases(
    grpc::CallbackServerContext* context, const pb::ListFunctionAliasesRequest* request,
    pb::ListFunctionAliasesResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListFunctionAliasesRequest& given, pb::ListFunctionAliasesResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        traffic_.ListAliases({.parent = given.parent(),
                              .page_size = given.page_size(),
                              .page_token = given.page_token()},
                             [answer, counted = CountedDone(metrics_, "ListFunctionAliases", done)](
                                 absl::StatusOr<AliasPage> page) {
                               if (!page.ok()) return counted(page.status());
                               for (const NamedAlias& alias : page->aliases) {
                                 ToProto(alias, answer->add_aliases());
                               }
                               answer->set_next_page_token(page->next_page_token);
                               counted(absl::OkStatus());
                             });
      });
}

}  // namespace penstock::functions
