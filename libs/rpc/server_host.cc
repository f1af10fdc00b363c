#include "libs/rpc/server_host.h"

#include <fmt/format.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/rpc/callback_threads.h"
#include "libs/rpc/inproc_registry.h"
#include "libs/rpc/server_plugins.h"
#include "libs/rpc/tls.h"

namespace penstock::rpc {
namespace {

bool HasFront(const ServerOptions& options) {
  return !options.address.empty() && options.loops != nullptr && options.direct != nullptr &&
         !options.tls;
}

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  builder.SetMaxSendMessageSize(options.message_bytes_max);
  // Without this a second server on the port starts, and takes half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(options.keepalive.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // A front sees to it itself.
  if (options.connection_age_max && !HasFront(options)) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(options.connection_age_max->count()));
  }
  // Only reflection uses the synchronous interface; it must not make threads without bound.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  grpc::ResourceQuota quota("penstock");
  quota.SetMaxThreads(4);
  builder.SetResourceQuota(quota);
}

// One end for the server, which owns it from then on; the other is the result.
absl::StatusOr<int> ConnectByPair(grpc::Server& server) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return absl::UnavailableError(fmt::format("no pair of sockets: {}", std::strerror(errno)));
  }
  grpc::AddInsecureChannelFromFd(&server, ends[0]);
  return ends[1];
}

absl::Status CannotListen(const std::string& address) {
  return absl::FailedPreconditionError(fmt::format(
      "cannot listen on {}: the address is in use, or not one of this machine", address));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerHost>> ServerHost::Start(ServerOptions options) {
  AssertMayBlock("gRPC server start");
  std::unique_ptr<ServerHost> host(new ServerHost());
  RETURN_IF_ERROR(host->Init(std::move(options)));
  return host;
}

absl::Status ServerHost::Init(ServerOptions options) {
  static std::once_flag health_once;
  std::call_once(health_once, [] { grpc::EnableDefaultHealthCheckService(true); });
  KeepCallbackThreads();
  gate_ = std::make_shared<CallGate>(options.direct);
  if (options.direct != nullptr) direct_calls_ = options.direct->calls();
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  builder.SetOption(ServerPlugins(options.reflection, &service_names_));
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  if (options.generic != nullptr) builder.RegisterCallbackGenericService(options.generic);

  const bool has_front = HasFront(options);
  if (!options.address.empty() && !has_front) {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (options.tls) {
      ASSIGN_OR_RETURN(credentials, ServerCredentialsOf(*options.tls));
    }
    builder.AddListeningPort(options.address, credentials, &port_);
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || (!options.address.empty() && !has_front && port_ == 0)) {
    server_.reset();
    return CannotListen(options.address);
  }
  if (has_front) RETURN_IF_ERROR(Listen(options));
  if (port_ != 0) {
    address_ = fmt::format("{}:{}", options.address.substr(0, options.address.rfind(':')), port_);
  }
  SetServing(false);
  if (options.name.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(InprocRegistry::Get().Add(
      options.name,
      [server = server_.get(), gate = gate_](const grpc::ChannelArguments& arguments) {
        return WithGate(server->InProcessChannel(arguments), gate);
      },
      [server = server_.get()] { return ConnectByPair(*server); }));
  name_ = options.name;
  return absl::OkStatus();
}

absl::Status ServerHost::Listen(const ServerOptions& options) {
  ServerFrontOptions front;
  const std::string_view address = options.address;
  const std::size_t colon = std::min(address.rfind(':'), address.size());
  std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  front.bind_address = host;
  const char* const end = address.data() + address.size();
  const char* const port = std::min(address.data() + colon + 1, end);
  const auto [stop, error] = std::from_chars(port, end, front.port);
  if (error != std::errc() || stop != end) return CannotListen(options.address);
  front.message_bytes_max = static_cast<std::size_t>(options.message_bytes_max);
  front.keepalive = options.keepalive;
  front.age_max = options.connection_age_max.value_or(std::chrono::milliseconds(0));
  front.methods = options.direct;
  front.connect = [server = server_.get()] { return ConnectByPair(*server); };
  auto started = ServerFront::Start(*options.loops, std::move(front));
  if (!started.ok()) return CannotListen(options.address);
  front_ = *std::move(started);
  port_ = front_->port();
  return absl::OkStatus();
}

ServerHost::~ServerHost() { Stop(std::chrono::seconds(1)); }

void ServerHost::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface& health = *server_->GetHealthCheckService();
  for (const std::string& service : service_names_) health.SetServingStatus(service, serving);
  health.SetServingStatus("", serving);
}

void ServerHost::SetServing(const std::string& service, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
}

void ServerHost::Stop(std::chrono::milliseconds grace) {
  AssertMayBlock("gRPC server stop");
  const std::lock_guard lock(stop_mutex_);
  if (stopped_ || server_ == nullptr) return;
  stopped_ = true;
  SetServing(false);
  if (!name_.empty()) InprocRegistry::Get().Remove(name_);
  gate_->Shut();
  const auto deadline = std::chrono::system_clock::now() + grace;
  if (front_) front_->BeginDrain();
  if (direct_calls_) direct_calls_->Stop(std::chrono::steady_clock::now() + grace);
  server_->Shutdown(deadline);
  if (front_) front_->Stop();
}

}  // namespace penstock::rpc
