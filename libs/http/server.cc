#include "libs/http/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/http/connection.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr int kBacklog = 4096;
// Connections taken in one go before other handlers get their turn.
constexpr int kAcceptBatch = 64;
// Connections above the limit that are told so; those above this too are closed at once.
constexpr std::size_t kRefusedMax = 64;
// Pause when the process is out of file descriptors.
constexpr std::chrono::milliseconds kAcceptPause{50};

// Owns a descriptor on its way from the accepting loop to another.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status BindError(const ServerOptions& options, const char* step, const std::string& why) {
  return absl::UnavailableError(
      fmt::format("cannot {} {}:{}: {}", step, options.bind_address, options.port, why));
}

absl::StatusOr<std::unique_ptr<asio::ssl::context>> MakeTls(const ServerTls& tls) {
  if (tls.cert_file.empty()) return nullptr;
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  ErrorCode error;
  const auto failure = [&error](const std::string& file) {
    return absl::InvalidArgumentError(
        fmt::format("tls: cannot use \"{}\": {}", file, error.message()));
  };
  context->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  context->use_certificate_chain_file(tls.cert_file, error);
  if (error) return failure(tls.cert_file);
  context->use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
  if (error) return failure(tls.key_file);
  if (!tls.client_ca_file.empty()) {
    context->load_verify_file(tls.client_ca_file, error);
    if (error) return failure(tls.client_ca_file);
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert,
                             error);
  }
  return context;
}

// The peer's address as requests show it.
Request PeerOf(const sockaddr_storage& address, bool is_tls) {
  Request peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof(text));
    peer.remote_port = ntohs(ipv6.sin6_port);
  } else {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof(text));
    peer.remote_port = ntohs(ipv4.sin_port);
  }
  peer.remote_address = text;
  peer.is_tls = is_tls;
  return peer;
}

}  // namespace

// Accepts on loop 0 and spreads connections over all loops. Asio's own accept would leave the
// descriptors open to child processes for a moment, hence accept4.
class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(EventLoops& loops, Options options, Handler handler)
      : context_(std::make_shared<ServerContext>(loops)),
        acceptor_(IoContextOf(loops, 0)),
        pause_(IoContextOf(loops, 0)) {
    context_->options = std::move(options);
    context_->handler = std::move(handler);
  }

  absl::Status Open();
  void Accept();
  void StopAccepting();
  bool Drain(std::chrono::milliseconds deadline);
  void Stop();
  ServerStats Stats() const;
  std::uint16_t port() const { return port_; }

 private:
  void OnReadable();
  void HandOver(Descriptor descriptor, const sockaddr_storage& address);

  const std::shared_ptr<ServerContext> context_;
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::optional<Tcp> protocol_;
  std::uint16_t port_ = 0;
  unsigned next_loop_ = 0;
};

absl::Status Server::Impl::Open() {
  const Options& options = context_->options;
  ErrorCode error;
  const asio::ip::address address = asio::ip::make_address(options.bind_address, error);
  if (error) {
    return FieldError("bind_address", fmt::format("\"{}\" is not a numeric IPv4 or IPv6 address",
                                                  options.bind_address));
  }
  ASSIGN_OR_RETURN(context_->tls, MakeTls(options.tls));
  const Tcp::endpoint endpoint(address, options.port);
  protocol_ = endpoint.protocol();
  Descriptor descriptor(
      socket(protocol_->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (descriptor.get() < 0) return BindError(options, "open a socket for", std::strerror(errno));
  acceptor_.assign(*protocol_, descriptor.get(), error);
  if (error) return BindError(options, "watch the socket for", error.message());
  descriptor.Release();
  acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  acceptor_.bind(endpoint, error);
  if (error) return BindError(options, "bind", error.message());
  acceptor_.listen(kBacklog, error);
  if (error) return BindError(options, "listen on", error.message());
  acceptor_.non_blocking(true, error);
  port_ = acceptor_.local_endpoint(error).port();
  return absl::OkStatus();
}

void Server::Impl::Accept() {
  acceptor_.async_wait(Tcp::acceptor::wait_read, [self = shared_from_this()](ErrorCode error) {
    if (!error && self->acceptor_.is_open()) self->OnReadable();
  });
}

void Server::Impl::OnReadable() {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    Descriptor descriptor(accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&address),
                                  &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (descriptor.get() >= 0) {
      HandOver(std::move(descriptor), address);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([self = shared_from_this()](ErrorCode error) {
        if (!error && self->acceptor_.is_open()) self->Accept();
      });
      return;
    }
    // Anything else concerns the one connection that was to be accepted.
  }
  Accept();
}

void Server::Impl::HandOver(Descriptor descriptor, const sockaddr_storage& address) {
  const std::size_t open = context_->connections_open.load();
  const std::size_t limit = context_->options.limits.connections_max;
  if (open >= limit + kRefusedMax) return;
  context_->connections_open.fetch_add(1);
  context_->connections_total.fetch_add(1, std::memory_order_relaxed);
  const int loop = static_cast<int>(next_loop_++ % context_->loops.size());
  Request peer = PeerOf(address, context_->tls != nullptr);
  context_->loops.Post(
      loop, [context = context_, loop, protocol = *protocol_, refuse = open >= limit,
             peer = std::move(peer), descriptor = std::move(descriptor)]() mutable {
        Tcp::socket socket(IoContextOf(context->loops, loop));
        ErrorCode error;
        socket.assign(protocol, descriptor.get(), error);
        if (!error) descriptor.Release();
        auto connection =
            std::make_shared<Connection>(context, loop, std::move(socket), std::move(peer));
        connection->Start(refuse);
        if (error || !context->handler) connection->Close();
      });
}

void Server::Impl::StopAccepting() {
  context_->loops.RunAndWait(0, [this] {
    ErrorCode ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  });
}

bool Server::Impl::Drain(std::chrono::milliseconds deadline) {
  AssertMayBlock("Server::Drain");
  const auto end = std::chrono::steady_clock::now() + deadline;
  StopAccepting();
  context_->draining = true;
  for (int i = 0; i < context_->loops.size(); ++i) {
    context_->loops.RunAndWait(i, [this, i] {
      const auto connections = context_->loop_states[i].connections;
      for (const auto& entry : connections) entry.second->BeginDrain();
    });
  }
  std::unique_lock lock(context_->mutex);
  return context_->all_closed.wait_until(lock, end,
                                         [this] { return context_->connections_open == 0; });
}

void Server::Impl::Stop() {
  StopAccepting();
  for (int i = 0; i < context_->loops.size(); ++i) {
    context_->loops.RunAndWait(i, [this, i] {
      const auto connections = context_->loop_states[i].connections;
      for (const auto& entry : connections) entry.second->Close();
    });
  }
  // All loops are past their last use; an exchange that someone still holds must not keep the
  // handler alive.
  context_->handler = nullptr;
}

ServerStats Server::Impl::Stats() const {
  ServerStats stats;
  stats.connections_open = context_->connections_open;
  stats.connections_total = context_->connections_total;
  for (const ServerContext::LoopState& loop : context_->loop_states) {
    stats.requests_total += loop.requests;
    stats.refusals_total += loop.refusals;
    for (std::size_t i = 0; i < loop.responses.size(); ++i) {
      stats.responses_total[i] += loop.responses[i];
    }
    stats.bytes_received += loop.bytes_received;
    stats.bytes_sent += loop.bytes_sent;
  }
  return stats;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(EventLoops& loops, Options options,
                                                      Handler handler) {
  auto impl = std::make_shared<Impl>(loops, std::move(options), std::move(handler));
  RETURN_IF_ERROR(impl->Open());
  loops.Post(0, [impl] { impl->Accept(); });
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(); }
std::uint16_t Server::port() const { return impl_->port(); }
ServerStats Server::Stats() const { return impl_->Stats(); }
void Server::StopAccepting() { impl_->StopAccepting(); }
bool Server::Drain(std::chrono::milliseconds deadline) { return impl_->Drain(deadline); }
void Server::Stop() { impl_->Stop(); }

}  // namespace penstock::http
