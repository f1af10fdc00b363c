#include "services/function-executor/middleware/grpc/service_clients.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "libs/base/status.h"

namespace penstock::executor {
namespace {

constexpr char kMethod[] = "/penstock.runtime.v1.MiddlewareService/ProcessCall";
constexpr std::chrono::milliseconds kDnsCache{5'000};
constexpr int kDnsThreads = 2;

}  // namespace

absl::StatusOr<ServiceTarget> ParseServiceTarget(std::string_view target) {
  ServiceTarget parsed;
  constexpr std::array<std::pair<std::string_view, bool>, 3> kSchemes = {
      {{"https://", true}, {"http://", false}, {"dns:///", false}}};
  for (const auto& [scheme, has_tls] : kSchemes) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    parsed.has_tls = has_tls;
    break;
  }
  parsed.address = std::string(target);
  if (target.find('/') != std::string_view::npos || !rpc::UnaryCaller::Takes(parsed.address)) {
    return FieldError("target", "expected host:port, or https://host:port for TLS");
  }
  return parsed;
}

// Connections that nobody uses any more, until they are ended by a thread of its own.
class ServiceClients::Retired {
 public:
  void Add(std::unique_ptr<rpc::UnaryCaller> caller) {
    const auto shared = std::shared_ptr<rpc::UnaryCaller>(std::move(caller));
    {
      const std::lock_guard lock(mutex_);
      callers_.push_back(shared);
    }
    // Where it is too busy, the next one or Stop takes this one along.
    (void)pool_.TryPost([this] { End(); });
  }

  void Stop() {
    pool_.Stop();
    End();
  }

 private:
  void End() {
    std::vector<std::shared_ptr<rpc::UnaryCaller>> callers;
    {
      const std::lock_guard lock(mutex_);
      callers.swap(callers_);
    }
    for (const auto& caller : callers) caller->Stop();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<rpc::UnaryCaller>> callers_;
  WorkerPool pool_{{.name = "mw-retire", .threads = 1, .queue_max = 64}};
};

class ServiceClients::Client final : public ServiceClient {
 public:
  Client(http::EventLoops& loops, ServiceTarget target, std::shared_ptr<rpc::UnaryCaller> caller)
      : loops_(loops), target_(std::move(target)), caller_(std::move(caller)) {}

  const ServiceTarget& target() const { return target_; }

  std::shared_ptr<rpc::UnaryCaller> Exchange(std::shared_ptr<rpc::UnaryCaller> caller) {
    const std::lock_guard lock(mutex_);
    return std::exchange(caller_, std::move(caller));
  }
  std::shared_ptr<rpc::UnaryCaller> caller() const {
    const std::lock_guard lock(mutex_);
    return caller_;
  }

  void Ask(runtime::v1::ProcessCallRequest request, std::chrono::milliseconds timeout,
           std::shared_ptr<rpc::Cancellation> cancellation, Done done) override {
    rpc::CallOptions options;
    options.timeout = timeout;
    options.cancellation = std::move(cancellation);
    if (!request.traceparent().empty()) {
      options.metadata.emplace_back(rpc::kTraceparentKey, request.traceparent());
    }
    auto question = std::make_shared<const runtime::v1::ProcessCallRequest>(std::move(request));
    const auto ask = [caller = caller(), question = std::move(question),
                      options = std::move(options), done = std::move(done)] {
      auto answer = std::make_shared<runtime::v1::ProcessCallResponse>();
      // The connection lives as long as the call.
      caller->Call(kMethod, question, answer, options,
                   [caller, answer, done](const absl::Status& status,
                                          const rpc::ResponseMetadata& /*metadata*/) {
                     if (!status.ok()) return done(status);
                     done(std::move(*answer));
                   });
    };
    if (loops_.CurrentLoop() >= 0) return ask();
    loops_.Post(loops_.PickLoop(), ask);
  }

 private:
  http::EventLoops& loops_;
  const ServiceTarget target_;
  mutable std::mutex mutex_;
  std::shared_ptr<rpc::UnaryCaller> caller_;
};

ServiceClients::ServiceClients(http::EventLoops& loops, Egress egress, http::ClientTls tls)
    : loops_(loops),
      egress_(std::move(egress)),
      tls_(std::move(tls)),
      dns_(loops, kDnsCache, kDnsThreads),
      retired_(std::make_shared<Retired>()) {}

ServiceClients::~ServiceClients() { Stop(); }

absl::StatusOr<std::shared_ptr<rpc::UnaryCaller>> ServiceClients::Connect(
    const ServiceTarget& target) {
  rpc::UnaryCallerOptions options;
  if (target.has_tls) options.tls = tls_;
  options.egress = egress_;
  ASSIGN_OR_RETURN(auto caller,
                   rpc::UnaryCaller::Create(loops_, dns_, target.address, std::move(options)));
  // It goes where its last user is, which may be a loop: its end is somebody else's.
  return std::shared_ptr<rpc::UnaryCaller>(caller.release(),
                                           [retired = retired_](rpc::UnaryCaller* last) {
                                             retired->Add(std::unique_ptr<rpc::UnaryCaller>(last));
                                           });
}

absl::StatusOr<std::shared_ptr<ServiceClient>> ServiceClients::Get(const std::string& target) {
  ASSIGN_OR_RETURN(ServiceTarget parsed, ParseServiceTarget(target));
  const std::string key = (parsed.has_tls ? "https://" : "http://") + parsed.address;
  const std::lock_guard lock(mutex_);
  if (stopped_) return absl::UnavailableError("the executor is stopping");
  std::erase_if(clients_, [](const auto& entry) { return entry.second.expired(); });
  if (auto known = clients_[key].lock()) return known;
  ASSIGN_OR_RETURN(auto caller, Connect(parsed));
  auto client = std::make_shared<Client>(loops_, std::move(parsed), std::move(caller));
  clients_[key] = client;
  return client;
}

void ServiceClients::RenewConnections() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  for (const auto& [key, weak] : clients_) {
    const auto client = weak.lock();
    if (client == nullptr) continue;
    auto caller = Connect(client->target());
    // It could be made once, and so it can again, unless files are out of reach: then it stays.
    if (caller.ok()) client->Exchange(*std::move(caller));
  }
}

void ServiceClients::Stop() {
  std::vector<std::shared_ptr<rpc::UnaryCaller>> callers;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    for (const auto& [key, weak] : clients_) {
      if (const auto client = weak.lock()) callers.push_back(client->caller());
    }
  }
  // Chains may go later than this: their calls then end at once.
  for (const auto& caller : callers) caller->Stop();
  callers.clear();
  retired_->Stop();
  dns_.Stop();
}

}  // namespace penstock::executor
