// The part of the public face that is about secrets. Values come in here and never leave.
#include <utility>
#include <vector>

#include "libs/rpc/server_unary.h"
#include "services/function-manager/api/convert.h"
#include "services/function-manager/api/function_manager_api.h"
#include "services/function-manager/api/revision.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::functions::v1;

// Answers a change of a secret: the secret as it is now, and the revision that functions see it at.
std::function<void(absl::StatusOr<SecretMutation>)> AnswerSecret(rpc::CallContext& call,
                                                                 pb::Secret* answer,
                                                                 CountedDone done) {
  return [&call, answer, done = std::move(done)](absl::StatusOr<SecretMutation> mutation) {
    if (!mutation.ok()) return done(mutation.status());
    if (answer != nullptr) ToProto(mutation->secret, answer);
    call.set_revision(RevisionText(mutation->revision));
    done(absl::OkStatus());
  };
}

}  // namespace

grpc::ServerUnaryReactor* FunctionManagerApi::CreateSecret(grpc::CallbackServerContext* context,
                                                           const pb::CreateSecretRequest* request,
                                                           pb::Secret* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CreateSecretRequest& given, pb::Secret* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        const pb::Secret& secret = given.secret();
        secrets_.Create({.parent = given.parent(),
                         .secret_id = given.secret_id(),
                         .values = {secret.values().begin(), secret.values().end()},
                         .metadata = {secret.metadata().begin(), secret.metadata().end()},
                         .principal = PrincipalOf(call)},
                        AnswerSecret(call, answer, CountedDone(metrics_, "CreateSecret", done)));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::GetSecret(grpc::CallbackServerContext* context,
                                                        const pb::GetSecretRequest* request,
                                                        pb::Secret* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetSecretRequest& given, pb::Secret* answer, rpc::CallContext&,
             const rpc::ServerDone& done) {
        secrets_.Get(given.name(), [answer, counted = CountedDone(metrics_, "GetSecret", done)](
                                       absl::StatusOr<Secret> secret) {
          if (secret.ok()) ToProto(*secret, answer);
          counted(secret.status());
        });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::ListSecrets(grpc::CallbackServerContext* context,
                                                          const pb::ListSecretsRequest* request,
                                                          pb::ListSecretsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListSecretsRequest& given, pb::ListSecretsResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        secrets_.List({.parent = given.parent(),
                       .page_size = given.page_size(),
                       .page_token = given.page_token()},
                      [answer, counted = CountedDone(metrics_, "ListSecrets", done)](
                          absl::StatusOr<ListSecretsResult> result) {
                        if (!result.ok()) return counted(result.status());
                        for (const Secret& secret : result->secrets) {
                          ToProto(secret, answer->add_secrets());
                        }
                        answer->set_next_page_token(result->next_page_token);
                        counted(absl::OkStatus());
                      });
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::UpdateSecret(grpc::CallbackServerContext* context,
                                                           const pb::UpdateSecretRequest* request,
                                                           pb::Secret* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::UpdateSecretRequest& given, pb::Secret* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        const pb::Secret& secret = given.secret();
        secrets_.Update(
            {.name = secret.name(),
             .etag = secret.etag(),
             .values = {secret.values().begin(), secret.values().end()},
             .metadata = {secret.metadata().begin(), secret.metadata().end()},
             .mask = {given.update_mask().paths().begin(), given.update_mask().paths().end()}},
            AnswerSecret(call, answer, CountedDone(metrics_, "UpdateSecret", done)));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::DeleteSecret(grpc::CallbackServerContext* context,
                                                           const pb::DeleteSecretRequest* request,
                                                           google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::DeleteSecretRequest& given, google::protobuf::Empty*, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        secrets_.Delete({.name = given.name(), .etag = given.etag()},
                        AnswerSecret(call, nullptr, CountedDone(metrics_, "DeleteSecret", done)));
      });
}

grpc::ServerUnaryReactor* FunctionManagerApi::RotateSecretKey(
    grpc::CallbackServerContext* context, const pb::RotateSecretKeyRequest* request,
    pb::RotateSecretKeyResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::RotateSecretKeyRequest&, pb::RotateSecretKeyResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        secrets_.RotateKey([answer, counted = CountedDone(metrics_, "RotateSecretKey", done)](
                               absl::StatusOr<std::int64_t> count) {
          if (count.ok()) answer->set_rotated_count(*count);
          counted(count.status());
        });
      });
}

}  // namespace penstock::functions
