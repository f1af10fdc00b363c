#include "services/function-manager/api/function_registry_api.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/log/log.h"
#include "libs/rpc/server_stream.h"
#include "libs/rpc/server_unary.h"
#include "services/function-manager/api/convert.h"

namespace penstock::functions {
namespace {

namespace pb = penstock::internal::v1;

using WatchStream = rpc::ServerStream<pb::WatchFunctionsResponse>;

// A few batches wait for a slow watcher; what follows stays in the store.
constexpr rpc::ServerStreamLimits kWatchLimits{.messages_max = 8,
                                               .bytes_max = std::size_t{4} << 20};

}  // namespace

template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* FunctionRegistryApi::ServePeer(grpc::CallbackServerContext* context,
                                                         const Request* request, Response* response,
                                                         std::string_view rpc, Handler handler) {
  return rpc::ServeUnary(
      context, request, response,
      [this, rpc, &handler](const Request& given, Response* answer, rpc::CallContext& call,
                            const rpc::ServerDone& done) {
        const CountedDone counted(metrics_, rpc, done);
        if (const absl::Status peer = peer_auth_->Check(call); !peer.ok()) return counted(peer);
        handler(given, answer, counted);
      });
}

grpc::ServerWriteReactor<pb::WatchFunctionsResponse>* FunctionRegistryApi::WatchFunctions(
    grpc::CallbackServerContext* context, const pb::WatchFunctionsRequest* request) {
  return WatchStream::Serve(
      context, request, kWatchLimits,
      [this](const pb::WatchFunctionsRequest& given, const std::shared_ptr<WatchStream>& stream) {
        const auto refuse = [&](const absl::Status& status) {
          metrics_.Count("WatchFunctions", status);
          stream->Finish(status);
        };
        if (const absl::Status peer = peer_auth_->Check(stream->context()); !peer.ok()) {
          return refuse(peer);
        }
        auto watch =
            feed_.Open(given.from_revision(),
                       {.offer =
                            [stream, &cipher = cipher_](const WatchBatch& batch) {
                              return stream->Write(ToProto(batch, cipher));
                            },
                        .end = [stream](const absl::Status& status) { stream->Finish(status); }});
        if (!watch.ok()) return refuse(watch.status());
        log::Info("watch of functions opened",
                  {{"peer", stream->context().peer()}, {"from_revision", given.from_revision()}});
        stream->set_on_writable([watch = *watch] { watch->OnWritable(); });
        stream->set_on_done([this, watch = *watch](const absl::Status& status) {
          feed_.Remove(watch);
          metrics_.Count("WatchFunctions", status);
          log::Info("watch of functions ended", {{"status", status}});
        });
        (*watch)->OnCommit();
      });
}

grpc::ServerUnaryReactor* FunctionRegistryApi::AcquireFunctionReference(
    grpc::CallbackServerContext* context, const pb::AcquireFunctionReferenceRequest* request,
    pb::AcquireFunctionReferenceResponse* response) {
  return ServePeer(context, request, response, "AcquireFunctionReference",
                   [this](const pb::AcquireFunctionReferenceRequest& given,
                          pb::AcquireFunctionReferenceResponse* answer, const CountedDone& done) {
                     keeper_.Acquire({.function = given.function(), .holder = given.holder()},
                                     [answer, done](absl::StatusOr<Acquired> acquired) {
                                       if (!acquired.ok()) return done(acquired.status());
                                       answer->set_revision(acquired->revision);
                                       answer->set_function_uid(acquired->function_uid);
                                       done(absl::OkStatus());
                                     });
                   });
}

grpc::ServerUnaryReactor* FunctionRegistryApi::ReleaseFunctionReference(
    grpc::CallbackServerContext* context, const pb::ReleaseFunctionReferenceRequest* request,
    pb::ReleaseFunctionReferenceResponse* response) {
  return ServePeer(context, request, response, "ReleaseFunctionReference",
                   [this](const pb::ReleaseFunctionReferenceRequest& given,
                          pb::ReleaseFunctionReferenceResponse*, const CountedDone& done) {
                     keeper_.Release({.function = given.function(), .holder = given.holder()},
                                     done);
                   });
}

grpc::ServerUnaryReactor* FunctionRegistryApi::ReportDeployment(
    grpc::CallbackServerContext* context, const pb::ReportDeploymentRequest* request,
    pb::ReportDeploymentResponse* response) {
  return ServePeer(context, request, response, "ReportDeployment",
                   [this](const pb::ReportDeploymentRequest& given,
                          pb::ReportDeploymentResponse* answer, const CountedDone& done) {
                     DeploymentReport report{given.function(), given.uid(), given.version(),
                                             FunctionState::kDeploying, given.reason()};
                     if (given.state() == v1::Function::READY) report.state = FunctionState::kReady;
                     if (given.state() == v1::Function::FAILED)
                       report.state = FunctionState::kFailed;
                     deployments_.Report(
                         std::move(report),
                         [answer, done](const absl::StatusOr<FunctionState>& state) {
                           if (!state.ok()) return done(state.status());
                           answer->set_state(ToProto(*state));
                           done(absl::OkStatus());
                         });
                   });
}

grpc::ServerUnaryReactor* FunctionRegistryApi::ReconcileFunctionReferences(
    grpc::CallbackServerContext* context, const pb::ReconcileFunctionReferencesRequest* request,
    pb::ReconcileFunctionReferencesResponse* response) {
  return ServePeer(
      context, request, response, "ReconcileFunctionReferences",
      [this](const pb::ReconcileFunctionReferencesRequest& given,
             pb::ReconcileFunctionReferencesResponse* answer, const CountedDone& done) {
        std::vector<ReferenceInput> references;
        for (const pb::FunctionReference& reference : given.references()) {
          references.push_back({.function = reference.function(), .holder = reference.holder()});
        }
        keeper_.Reconcile(given.service(), references,
                          [answer, done](absl::StatusOr<Reconciled> result) {
                            if (!result.ok()) return done(result.status());
                            answer->set_released_count(result->released_count);
                            for (const ReferenceInput& missing : result->missing) {
                              auto* added = answer->add_missing();
                              added->set_function(missing.function);
                              added->set_holder(missing.holder);
                            }
                            answer->set_revision(result->revision);
                            done(absl::OkStatus());
                          });
      });
}

}  // namespace penstock::functions
