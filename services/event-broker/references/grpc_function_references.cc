#include "services/event-broker/references/grpc_function_references.h"

#include <fmt/format.h>
#include <penstock/internal/v1/registry.pb.h>

#include <utility>

#include "libs/rpc/unary_call.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::internal::v1;

// Somebody waits for it. Long enough to find a function-manager again that was just restarted.
constexpr std::chrono::milliseconds kTimeout{2'000};
constexpr std::chrono::milliseconds kReconcileTimeout{30'000};

}  // namespace

GrpcFunctionReferences::GrpcFunctionReferences(std::string address,
                                               std::shared_ptr<const rpc::PeerAuth> auth)
    : channel_(std::move(address)), auth_(std::move(auth)) {}

template <typename Response, typename Request>
void GrpcFunctionReferences::Call(const char* method, Request request,
                                  std::chrono::milliseconds timeout,
                                  std::function<void(absl::StatusOr<Response>)> done) {
  const auto unreachable = [address = channel_.address()](const absl::Status& status) {
    return absl::UnavailableError(fmt::format("the function-manager at {} cannot be reached: {}",
                                              address, std::string(status.message())));
  };
  const auto channel = channel_.Get();
  if (!channel.ok()) return done(unreachable(channel.status()));
  {
    std::unique_lock lock(calls_->mutex);
    if (calls_->stopped) {
      lock.unlock();
      return done(absl::UnavailableError("the event-broker stops"));
    }
    ++calls_->running;
  }
  rpc::CallOptions options;
  options.timeout = timeout;
  options.wait_for_ready = true;
  options.peer_auth = auth_;
  options.cancellation = cancellation_;
  rpc::CallUnary<Response>(
      *channel, std::string("/penstock.internal.v1.FunctionRegistryService/") + method,
      std::move(request), options,
      [done = std::move(done), unreachable, calls = calls_](absl::StatusOr<Response> response,
                                                            const rpc::ResponseMetadata&) {
        const bool away =
            absl::IsUnavailable(response.status()) || absl::IsDeadlineExceeded(response.status());
        away ? done(unreachable(response.status())) : done(std::move(response));
        const std::lock_guard lock(calls->mutex);
        --calls->running;
        calls->ended.notify_all();
      });
}

void GrpcFunctionReferences::Stop() {
  {
    const std::lock_guard lock(calls_->mutex);
    calls_->stopped = true;
  }
  cancellation_->Cancel();
  std::unique_lock lock(calls_->mutex);
  calls_->ended.wait(lock, [this] { return calls_->running == 0; });
}

void GrpcFunctionReferences::Acquire(Reference reference,
                                     std::function<void(absl::StatusOr<std::int64_t>)> done) {
  pb::AcquireFunctionReferenceRequest request;
  request.set_function(reference.function);
  request.set_holder(reference.holder);
  Call<pb::AcquireFunctionReferenceResponse>(
      "AcquireFunctionReference", std::move(request), kTimeout,
      [done =
           std::move(done)](const absl::StatusOr<pb::AcquireFunctionReferenceResponse>& response) {
        response.ok() ? done(response->revision()) : done(response.status());
      });
}

void GrpcFunctionReferences::Release(Reference reference, std::function<void(absl::Status)> done) {
  pb::ReleaseFunctionReferenceRequest request;
  request.set_function(reference.function);
  request.set_holder(reference.holder);
  Call<pb::ReleaseFunctionReferenceResponse>(
      "ReleaseFunctionReference", std::move(request), kTimeout,
      [done =
           std::move(done)](const absl::StatusOr<pb::ReleaseFunctionReferenceResponse>& response) {
        done(response.status());
      });
}

void GrpcFunctionReferences::Reconcile(
    std::vector<Reference> references,
    std::function<void(absl::StatusOr<std::vector<Reference>>)> done) {
  pb::ReconcileFunctionReferencesRequest request;
  request.set_service("event-broker");
  for (Reference& reference : references) {
    auto* added = request.add_references();
    added->set_function(std::move(reference.function));
    added->set_holder(std::move(reference.holder));
  }
  using Response = pb::ReconcileFunctionReferencesResponse;
  Call<Response>("ReconcileFunctionReferences", std::move(request), kReconcileTimeout,
                 [done = std::move(done)](const absl::StatusOr<Response>& response) {
                   if (!response.ok()) return done(response.status());
                   std::vector<Reference> missing;
                   for (const auto& reference : response->missing()) {
                     missing.push_back({reference.function(), reference.holder()});
                   }
                   done(std::move(missing));
                 });
}

}  // namespace penstock::broker
