#include "tools/penstock/setup/up_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"

namespace penstock::cli {
namespace {

constexpr char kLoopback[] = "127.0.0.1";

config::ListenAddress AddressOf(const UpOptions& options, Listener listener) {
  const auto index = static_cast<std::size_t>(listener);
  const int port = options.ports[index].value_or(DefaultPortOf(listener));
  return {options.bind.empty() ? kLoopback : options.bind, static_cast<std::uint16_t>(port)};
}

// A socket that closes itself.
class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Binds `socket` to a free port of `address`.
absl::StatusOr<std::uint16_t> BindAnyPort(const Socket& socket, const std::string& address,
                                          bool is_v6) {
  sockaddr_storage storage{};
  socklen_t size = is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  storage.ss_family = is_v6 ? AF_INET6 : AF_INET;
  void* const target =
      is_v6 ? static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr)
            : static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&storage)->sin_addr);
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  if (inet_pton(storage.ss_family, address.c_str(), target) != 1 ||
      bind(socket.fd(), generic, size) != 0 || getsockname(socket.fd(), generic, &size) != 0) {
    return absl::UnavailableError(
        fmt::format("no free port at {}: {}", address, std::strerror(errno)));
  }
  return ntohs(is_v6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                     : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
}

}  // namespace

std::string_view NameOf(Listener listener) {
  switch (listener) {
    case Listener::kHttp: return "http";
    case Listener::kConfig: return "config";
    case Listener::kGrpc: return "grpc";
    case Listener::kAdmin: return "admin";
  }
  return "";
}

std::string KeyOf(Listener listener) {
  return fmt::format("{}{}.listen", listener == Listener::kAdmin ? "" : "gateway.",
                     NameOf(listener));
}

std::uint16_t DefaultPortOf(Listener listener) {
  return static_cast<std::uint16_t>(8080 + static_cast<int>(listener));
}

absl::Status CheckUpOptions(const UpOptions& options) {
  if (options.data_dir.empty()) return UsageError("--data-dir: expected a folder");
  for (const Listener listener : kListeners) {
    const auto& port = options.ports[static_cast<std::size_t>(listener)];
    if (port && (*port < 0 || *port > 65535)) {
      return UsageError(
          fmt::format("--{}-port: expected 0 to 65535, but this is {}", NameOf(listener), *port));
    }
  }
  const auto bind = config::ParseListenAddress(AddressOf(options, Listener::kHttp).ToString());
  if (!bind.ok()) {
    return UsageError(fmt::format(
        "--bind: expected a numeric address like 127.0.0.1 or 0.0.0.0, but this is \"{}\"",
        options.bind));
  }
  if (!bind->IsLoopback() && options.auth.empty()) {
    return UsageError(fmt::format(
        "--bind {}: other machines could then run functions here: say with --auth who may, "
        "--auth api_keys or --auth none",
        options.bind));
  }
  return absl::OkStatus();
}

std::vector<std::string> SettingsOf(const UpOptions& options) {
  std::vector<std::string> flags;
  const auto set = [&](std::string_view key, std::string_view value) {
    flags.push_back(fmt::format("--{}={}", key, value));
  };
  if (!options.config_file.empty()) set("config", options.config_file);
  flags.insert(flags.end(), options.settings.begin(), options.settings.end());
  if (!options.log_level.empty()) set("log.level", options.log_level);
  for (const Listener listener : kListeners) {
    const bool has_port = options.ports[static_cast<std::size_t>(listener)].has_value();
    if (has_port || !options.bind.empty()) {
      set(KeyOf(listener), AddressOf(options, listener).ToString());
    }
  }
  if (!options.auth.empty()) set("gateway.auth", options.auth);

  const std::filesystem::path root(options.data_dir);
  set("gateway.peer.token_file", (root / "peer.token").string());
  for (const auto& [section, folder] : {std::pair("function_manager", "function-manager"),
                                        std::pair("function_executor", "function-executor"),
                                        std::pair("event_broker", "event-broker")}) {
    set(fmt::format("{}.grpc.listen", section), "inproc:");
    set(fmt::format("{}.data_dir", section), (root / folder).string());
    set(fmt::format("{}.peer.token_file", section), (root / "peer.token").string());
    set(fmt::format("gateway.{}.address", section), fmt::format("inproc:{}", folder));
  }
  set("function_executor.function_manager.address", "inproc:function-manager");
  set("function_executor.event_broker.address", "inproc:event-broker");
  set("event_broker.function_manager.address", "inproc:function-manager");
  set("event_broker.function_executor.address", "inproc:function-executor");
  return flags;
}

absl::StatusOr<config::ListenAddress> ParseListener(std::string_view text) {
  if (text.empty() || text == "inproc:") return config::ListenAddress{"", 0};
  return config::ParseListenAddress(text);
}

absl::Status PickFreePorts(Listeners* listeners) {
  // All are held until the last is chosen, so that no two are the same.
  std::vector<Socket> held;
  for (config::ListenAddress& listener : *listeners) {
    if (listener.port != 0 || listener.address.empty()) continue;
    const bool is_v6 = listener.address.find(':') != std::string::npos;
    held.emplace_back(is_v6 ? AF_INET6 : AF_INET);
    ASSIGN_OR_RETURN(listener.port, BindAnyPort(held.back(), listener.address, is_v6));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
