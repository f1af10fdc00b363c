#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>

#include "libs/base/status.h"
#include "libs/http/acceptor_asio.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr int kBacklog = 4096;
// Connections taken in one go before other handlers get their turn.
constexpr int kAcceptBatch = 64;
// Pause when the process is out of file descriptors.
constexpr std::chrono::milliseconds kAcceptPause{50};

}  // namespace

Acceptor::Acceptor(EventLoops& loops, OnAccepted on_accepted)
    : loops_(loops),
      on_accepted_(std::move(on_accepted)),
      acceptor_(IoContextOf(loops, 0)),
      pause_(IoContextOf(loops, 0)) {}

absl::Status Acceptor::Open(const std::string& bind_address, std::uint16_t port) {
  const auto failure = [&](const char* step, const std::string& why) {
    return absl::UnavailableError(
        fmt::format("cannot {} {}:{}: {}", step, bind_address, port, why));
  };
  ErrorCode error;
  const asio::ip::address address = asio::ip::make_address(bind_address, error);
  if (error) {
    return FieldError("bind_address",
                      fmt::format("\"{}\" is not a numeric IPv4 or IPv6 address", bind_address));
  }
  const Tcp::endpoint endpoint(address, port);
  protocol_ = endpoint.protocol();
  Descriptor descriptor(
      socket(protocol_->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (descriptor.get() < 0) return failure("open a socket for", std::strerror(errno));
  acceptor_.assign(*protocol_, descriptor.get(), error);
  if (error) return failure("watch the socket for", error.message());
  descriptor.Release();
  acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  acceptor_.bind(endpoint, error);
  if (error) return failure("bind", error.message());
  acceptor_.listen(kBacklog, error);
  if (error) return failure("listen on", error.message());
  acceptor_.non_blocking(true, error);
  port_ = acceptor_.local_endpoint(error).port();
  loops_.Post(0, [self = shared_from_this()] { self->Accept(); });
  return absl::OkStatus();
}

void Acceptor::Close() {
  loops_.RunAndWait(0, [this] {
    ErrorCode ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    on_accepted_ = nullptr;
  });
}

void Acceptor::Accept() {
  acceptor_.async_wait(Tcp::acceptor::wait_read, [self = shared_from_this()](ErrorCode error) {
    if (!error && self->acceptor_.is_open()) self->OnReadable();
  });
}

void Acceptor::OnReadable() {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    Descriptor descriptor(accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&peer),
                                  &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (descriptor.get() >= 0) {
      on_accepted_(std::move(descriptor), peer);
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

std::pair<std::string, std::uint16_t> AddressOf(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(peer);
    inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof(text));
    return {text, ntohs(ipv6.sin6_port)};
  }
  const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(peer);
  inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof(text));
  return {text, ntohs(ipv4.sin_port)};
}

}  // namespace penstock::http
