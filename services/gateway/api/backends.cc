#include "services/gateway/api/backends.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

constexpr std::chrono::milliseconds kDnsCache{5'000};

}  // namespace

std::string_view BackendName(Backend backend) {
  switch (backend) {
    case Backend::kEventBroker: return "event-broker";
    case Backend::kFunctionManager: return "function-manager";
    case Backend::kFunctionExecutor: break;
  }
  return "function-executor";
}

std::optional<Backend> OwnerOf(std::string_view full_method) {
  if (full_method.starts_with('/')) full_method.remove_prefix(1);
  if (full_method.starts_with("penstock.events.")) return Backend::kEventBroker;
  if (full_method.starts_with("penstock.functions.")) return Backend::kFunctionManager;
  if (full_method.starts_with("penstock.executions.")) return Backend::kFunctionExecutor;
  return std::nullopt;
}

Backends::Backends(http::EventLoops& loops, const BackendAddresses& addresses)
    : channels_{std::make_unique<rpc::LazyChannel>(addresses.event_broker),
                std::make_unique<rpc::LazyChannel>(addresses.function_manager),
                std::make_unique<rpc::LazyChannel>(addresses.function_executor)},
      dns_(loops, kDnsCache) {
  for (std::size_t i = 0; i < kBackends; ++i) {
    auto caller = rpc::UnaryCaller::Create(loops, dns_, channels_[i]->address());
    if (caller.ok()) callers_[i] = *std::move(caller);
  }
}

void Backends::Call(Backend backend, const std::string& method,
                    std::shared_ptr<const google::protobuf::Message> request,
                    std::shared_ptr<google::protobuf::Message> response,
                    const rpc::CallOptions& options, rpc::GenericDone done) {
  rpc::GenericDone named = [this, backend, done = std::move(done)](
                               const absl::Status& status, const rpc::ResponseMetadata& metadata) {
    done(Named(backend, status), metadata);
  };
  if (rpc::UnaryCaller* const by_loop = caller(backend)) {
    return by_loop->Call(method, std::move(request), std::move(response), options,
                         std::move(named));
  }
  const auto found = channel(backend).Get();
  if (!found.ok()) return named(found.status(), rpc::ResponseMetadata(rpc::MetadataList()));
  rpc::GenericCall(*found, method, std::move(request), std::move(response), options,
                   std::move(named));
}

void Backends::Stop() {
  for (const auto& caller : callers_) {
    if (caller != nullptr) caller->Stop();
  }
  dns_.Stop();
}

absl::Status NamedUnavailable(std::string_view service, std::string_view address,
                              const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable || !ReasonOf(status).empty()) return status;
  absl::Status named = absl::UnavailableError(fmt::format(
      "the {} at {} is not available: {}", service, address, std::string(status.message())));
  if (const absl::Duration delay = RetryAfterOf(status); delay > absl::ZeroDuration()) {
    named = WithRetryAfter(named, delay);
  }
  return WithReason(named, "SERVICE_UNAVAILABLE", {{"service", std::string(service)}});
}

absl::Status Backends::Named(Backend backend, const absl::Status& status) const {
  const auto& channel = channels_[static_cast<std::size_t>(backend)];
  return NamedUnavailable(BackendName(backend), channel->address(), status);
}

}  // namespace penstock::gateway
