#include "libs/rpc/channel.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>

#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/callback_threads.h"
#include "libs/rpc/inproc_registry.h"
#include "libs/rpc/tls.h"
#include "libs/rpc/wire_client.h"

namespace penstock::rpc {
namespace {

constexpr std::string_view kInproc = "inproc:";

grpc::ChannelArguments ArgumentsOf(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.message_bytes_max);
  arguments.SetMaxSendMessageSize(options.message_bytes_max);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Reconnects soon after a restart of the other side; gRPC's default grows to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Also the limit of one attempt to connect, which a loaded machine needs more than a moment for.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // Calls take turns over all addresses of a name; the default sends them all to the first.
  arguments.SetLoadBalancingPolicyName("round_robin");
  if (options.own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port <= 65535;
}

}  // namespace

absl::Status CheckAddress(std::string_view field, std::string_view address) {
  if (address.starts_with(kInproc)) {
    if (address.size() > kInproc.size()) return absl::OkStatus();
    return FieldError(field, "expected inproc:<name>");
  }
  for (const std::string_view scheme : {"unix:", "unix-abstract:", "ipv4:", "ipv6:"}) {
    if (address.starts_with(scheme)) return absl::OkStatus();
  }
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || address[colon - 1] == ':' ||
      !IsPort(address.substr(colon + 1))) {
    return FieldError(
        field,
        fmt::format("expected host:port, dns:host:port or inproc:<name>, got \"{}\"", address));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(std::string_view address,
                                                           const ChannelOptions& options) {
  RETURN_IF_ERROR(CheckAddress("address", address));
  KeepCallbackThreads();
  const grpc::ChannelArguments arguments = ArgumentsOf(options);
  if (address.starts_with(kInproc)) {
    ASSIGN_OR_RETURN(const InprocRegistry::Made made,
                     InprocRegistry::Get().Make(address.substr(kInproc.size()), arguments));
    return made.channel;
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (options.tls) {
    ASSIGN_OR_RETURN(credentials, ClientCredentials(*options.tls));
  }
  auto channel = grpc::CreateCustomChannel(std::string(address), credentials, arguments);
  if (options.wire == nullptr || options.tls) return channel;
  auto streams = options.wire->Get(address);
  return streams == nullptr ? channel : WithStreams(std::move(channel), std::move(streams));
}

LazyChannel::LazyChannel(std::string address, ChannelOptions options)
    : address_(std::move(address)), options_(std::move(options)) {}

absl::StatusOr<std::shared_ptr<grpc::Channel>> LazyChannel::Get() {
  const std::lock_guard lock(mutex_);
  const std::string_view address = address_;
  if (!address.starts_with(kInproc)) {
    if (!channel_) {
      ASSIGN_OR_RETURN(channel_, MakeChannel(address_, options_));
    }
    return channel_;
  }
  RETURN_IF_ERROR(CheckAddress("address", address));
  const std::string_view name = address.substr(kInproc.size());
  if (!channel_ || InprocRegistry::Get().Generation(name) != generation_) {
    channel_ = nullptr;
    ASSIGN_OR_RETURN(InprocRegistry::Made made,
                     InprocRegistry::Get().Make(name, ArgumentsOf(options_)));
    channel_ = std::move(made.channel);
    generation_ = made.generation;
  }
  return channel_;
}

}  // namespace penstock::rpc
