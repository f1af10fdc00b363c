// A listening TCP socket. Only for .cc files that use Asio.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "libs/http/event_loops.h"

namespace penstock::http {

// Owns a file descriptor on its way from one loop to another.
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

// Accepts on loop 0 and gives each connection away. Asio's own accept would leave the descriptors
// open to child processes for a moment, hence accept4. Made by make_shared; `loops` must outlive
// it.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  using Tcp = boost::asio::ip::tcp;
  // Gets each connection on loop 0; must not block.
  using OnAccepted = std::function<void(Descriptor descriptor, const sockaddr_storage& peer)>;

  Acceptor(EventLoops& loops, OnAccepted on_accepted);

  // Binds to a numeric address and starts to accept; port 0 picks a free one. The error names
  // address and port.
  absl::Status Open(const std::string& bind_address, std::uint16_t port);
  // Closes the socket, and forgets the callback once it runs no more. Idempotent. Not from a loop
  // but loop 0.
  void Close();

  std::uint16_t port() const { return port_; }
  // That of the sockets it accepts.
  Tcp protocol() const { return *protocol_; }

 private:
  void Accept();
  void OnReadable();

  EventLoops& loops_;
  OnAccepted on_accepted_;
  Tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::optional<Tcp> protocol_;
  std::uint16_t port_ = 0;
};

// "192.0.2.1" or "::1", and the port.
std::pair<std::string, std::uint16_t> AddressOf(const sockaddr_storage& peer);

}  // namespace penstock::http
