#include "services/gateway/api/grpc_targets.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/inproc_registry.h"
#include "services/gateway/api/file_digest.h"

namespace penstock::gateway {
namespace {

constexpr std::chrono::milliseconds kDnsCache{5'000};

// Of the fields that begin with "grpc-", those that concern the two ends.
bool PassesDown(std::string_view name) {
  constexpr std::array<std::string_view, 6> kGrpc = {
      "grpc-encoding", "grpc-accept-encoding",    "grpc-status",
      "grpc-message",  "grpc-status-details-bin", "grpc-retry-pushback-ms"};
  return !name.starts_with("grpc-") || std::find(kGrpc.begin(), kGrpc.end(), name) != kGrpc.end();
}

// Removes the front of `text` when it is `prefix`.
bool Strip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

absl::StatusOr<int> ConnectUnix(const std::string& path, bool is_abstract) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t first = is_abstract ? 1 : 0;
  if (path.size() + first >= sizeof(address.sun_path)) {
    return absl::UnavailableError("the name of the socket is too long");
  }
  std::memcpy(address.sun_path + first, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + first + path.size());
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  const int error = errno;
  if (fd >= 0) close(fd);
  return absl::UnavailableError(std::strerror(error));
}

// An address as rpc::CheckAddress takes it.
void SetAddress(std::string_view address, h2::ClientOptions& options) {
  if (Strip(address, "inproc:")) {
    options.connect = [name = std::string(address)] { return rpc::ConnectInproc(name); };
    return;
  }
  for (const std::string_view scheme : {"unix:", "unix-abstract:"}) {
    std::string_view path = address;
    if (!Strip(path, scheme)) continue;
    options.connect = [path = std::string(path), is_abstract = scheme != "unix:"] {
      return ConnectUnix(path, is_abstract);
    };
    return;
  }
  if (Strip(address, "dns:") || Strip(address, "ipv4:") || Strip(address, "ipv6:")) {
    address.remove_prefix(std::min(address.find_first_not_of('/'), address.size()));
  }
  options.addresses = {std::string(address)};
}

}  // namespace

absl::Status GrpcTarget::Away() const {
  const absl::Status why = client->LastError();
  return WithReason(absl::UnavailableError(fmt::format(
                        "{} is not available: {}", label,
                        why.ok() ? "the connection was lost" : std::string(why.message()))),
                    "SERVICE_UNAVAILABLE", {{"service", name}});
}

GrpcTargets::GrpcTargets(std::shared_ptr<http::Dns> dns, GrpcRoutes routes)
    : routes_(std::move(routes)), dns_(std::move(dns)) {}

absl::StatusOr<std::unique_ptr<GrpcTargets>> GrpcTargets::Create(http::EventLoops& loops,
                                                                 const BackendAddresses& suite,
                                                                 GrpcRoutes routes,
                                                                 const GrpcTargets* before) {
  if (!routes.master_api.addresses.empty()) routes.upstreams.push_back(routes.master_api);
  std::unique_ptr<GrpcTargets> all(new GrpcTargets(
      before != nullptr ? before->dns_ : std::make_shared<http::Dns>(loops, kDnsCache),
      std::move(routes)));
  if (before != nullptr) {
    for (std::size_t i = 0; i < kBackends; ++i) all->targets_.push_back(before->targets_[i]);
  } else {
    RETURN_IF_ERROR(all->AddSuite(loops, Backend::kEventBroker, suite.event_broker));
    RETURN_IF_ERROR(all->AddSuite(loops, Backend::kFunctionManager, suite.function_manager));
    RETURN_IF_ERROR(all->AddSuite(loops, Backend::kFunctionExecutor, suite.function_executor));
  }
  for (const GrpcUpstream& upstream : all->routes_.upstreams) {
    RETURN_IF_ERROR(all->AddUpstream(loops, upstream, before));
  }
  // In their places now.
  for (GrpcTarget& target : all->targets_) {
    target.relay.emplace(rpc::RelayTarget{*target.client, [&target] { return target.Away(); },
                                          target.label, PassesDown});
  }
  return all;
}

absl::Status GrpcTargets::AddSuite(http::EventLoops& loops, Backend backend,
                                   const std::string& address) {
  h2::ClientOptions options;
  SetAddress(address, options);
  GrpcTarget& target = targets_.emplace_back();
  target.name = BackendName(backend);
  target.label = fmt::format("the {} at {}", target.name, address);
  target.authority = options.connect ? "localhost" : options.addresses.front();
  target.scheme = "http";
  target.is_suite = true;
  ASSIGN_OR_RETURN(target.client, h2::Client::Create(loops, *dns_, std::move(options)));
  return absl::OkStatus();
}

const GrpcTarget* GrpcTargets::FindSame(const GrpcUpstream& upstream) const {
  const std::string digest = DigestOfFiles({upstream.tls_ca_file});
  for (std::size_t i = 0; i < routes_.upstreams.size(); ++i) {
    const GrpcUpstream& own = routes_.upstreams[i];
    const GrpcTarget& target = targets_[kBackends + i];
    if (own.name == upstream.name && own.addresses == upstream.addresses &&
        own.tls == upstream.tls && own.tls_ca_file == upstream.tls_ca_file &&
        target.tls_digest == digest) {
      return &target;
    }
  }
  return nullptr;
}

absl::Status GrpcTargets::AddUpstream(http::EventLoops& loops, const GrpcUpstream& upstream,
                                      const GrpcTargets* before) {
  if (const auto* same = before == nullptr ? nullptr : before->FindSame(upstream)) {
    targets_.push_back(*same);
    return absl::OkStatus();
  }
  h2::ClientOptions options;
  options.addresses = upstream.addresses;
  if (upstream.tls) options.tls.emplace().ca_file = upstream.tls_ca_file;
  GrpcTarget& target = targets_.emplace_back();
  target.tls_digest = DigestOfFiles({upstream.tls_ca_file});
  target.name = upstream.name;
  target.label = fmt::format("the upstream {}", upstream.name);
  target.authority = upstream.addresses.front();
  target.scheme = upstream.tls ? "https" : "http";
  auto client = h2::Client::Create(loops, *dns_, std::move(options));
  if (!client.ok()) {
    return FieldError(upstream.replaces_suite ? "master_api.grpc" : "grpc.upstreams",
                      fmt::format("{}: {}", upstream.name, std::string(client.status().message())));
  }
  target.client = *std::move(client);
  return absl::OkStatus();
}

const GrpcTarget* GrpcTargets::Find(std::string_view method, std::string_view authority) const {
  if (!routes_.Allows(method)) return nullptr;
  if (const auto found = routes_.Find(method, authority, true))
    return &targets_[kBackends + *found];
  if (const auto backend = OwnerOf(method)) return &targets_[static_cast<std::size_t>(*backend)];
  if (const auto found = routes_.Find(method, authority, false)) {
    return &targets_[kBackends + *found];
  }
  return nullptr;
}

void GrpcTargets::Stop() {
  for (const GrpcTarget& target : targets_) target.client->Stop();
  dns_->Stop();
}

}  // namespace penstock::gateway
