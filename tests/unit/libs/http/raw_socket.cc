#include "tests/unit/libs/http/raw_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace penstock::http {
namespace {

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A socket bound to a free port.
int BindFree(std::uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

RawSocket::RawSocket(int fd) : fd_(fd) {}
RawSocket::~RawSocket() { Close(); }
RawSocket::RawSocket(RawSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  Close();
  fd_ = std::exchange(other.fd_, -1);
  buffer_ = std::move(other.buffer_);
  return *this;
}

RawSocket RawSocket::Connect(std::uint16_t port, int receive_buffer) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address = Loopback(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::abort();
  return RawSocket(fd);
}

bool RawSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void RawSocket::ShutdownSend() { shutdown(fd_, SHUT_WR); }

void RawSocket::Reset() {
  const linger option{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &option, sizeof(option));
  Close();
}

void RawSocket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

bool RawSocket::Fill() {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, static_cast<int>(kTestDeadline.count())) <= 0) {
    buffer_ += "<nothing more came in time>";
    return false;
  }
  char bytes[16 * 1024];
  const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
  if (size <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(size));
  return true;
}

std::string RawSocket::ReadAll() {
  while (Fill()) {
  }
  return std::exchange(buffer_, std::string());
}

std::string RawSocket::ReadUntil(std::string_view marker) {
  std::size_t found = buffer_.find(marker);
  while (found == std::string::npos && Fill()) found = buffer_.find(marker);
  if (found == std::string::npos) return std::exchange(buffer_, std::string());
  std::string result = buffer_.substr(0, found + marker.size());
  buffer_.erase(0, result.size());
  return result;
}

std::string RawSocket::ReadResponse() {
  std::string response = ReadUntil("\r\n\r\n");
  const std::size_t field = response.find("Content-Length: ");
  if (field == std::string::npos) return response;
  const std::size_t length = std::stoul(response.substr(field + 16));
  while (buffer_.size() < length && Fill()) {
  }
  response += buffer_.substr(0, length);
  buffer_.erase(0, length);
  return response;
}

bool RawSocket::IsAtEnd() { return !Fill() && buffer_.empty(); }

RawServer::RawServer(std::function<void(RawSocket&, int index)> serve) : fd_(BindFree(port_)) {
  listen(fd_, 64);
  thread_ = std::thread([fd = fd_, serve = std::move(serve)] {
    for (int index = 0;; ++index) {
      const int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) return;
      RawSocket peer(accepted);
      serve(peer, index);
    }
  });
}

RawServer::~RawServer() {
  shutdown(fd_, SHUT_RDWR);
  thread_.join();
  close(fd_);
}

std::string RawServer::Url(std::string_view target) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, target);
}

DeadPort::DeadPort() : fd_(BindFree(port_)) {}
DeadPort::~DeadPort() { close(fd_); }

bool WaitFor(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace penstock::http
