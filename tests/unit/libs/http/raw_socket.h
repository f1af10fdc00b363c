// Plain blocking sockets on loopback that send and receive exactly the bytes a test says.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace penstock::http {

// How long a test waits for what must happen.
inline constexpr std::chrono::milliseconds kTestDeadline{10'000};

// One end of a TCP connection. Receiving gives up after kTestDeadline.
class RawSocket {
 public:
  // Takes over `fd`.
  explicit RawSocket(int fd);
  ~RawSocket();
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&& other) noexcept;

  // Connects to 127.0.0.1. `receive_buffer` > 0 sets that size before connecting.
  static RawSocket Connect(std::uint16_t port, int receive_buffer = 0);

  // Sends all; false when the peer is gone.
  bool Send(std::string_view bytes);
  void ShutdownSend();
  // Makes close send a reset.
  void Reset();
  void Close();
  int fd() const { return fd_; }

  // Everything until the peer closes (its reset counts as a close).
  std::string ReadAll();
  // Until `marker` was received, inclusive, or the peer closed.
  std::string ReadUntil(std::string_view marker);
  // One response with Content-Length, or without body.
  std::string ReadResponse();
  // True when the peer closed without sending more.
  bool IsAtEnd();

 private:
  bool Fill();

  int fd_;
  std::string buffer_;
};

// Accepts connections on a free loopback port, and runs `serve` for each, one after the other, on
// its own thread.
class RawServer {
 public:
  explicit RawServer(std::function<void(RawSocket&, int index)> serve);
  ~RawServer();

  std::uint16_t port() const { return port_; }
  std::string Url(std::string_view target = "/") const;

 private:
  std::uint16_t port_ = 0;
  int fd_;
  std::thread thread_;
};

// A bound port on which nobody listens, for the object's lifetime.
class DeadPort {
 public:
  DeadPort();
  ~DeadPort();
  std::uint16_t port() const { return port_; }

 private:
  std::uint16_t port_ = 0;
  int fd_;
};

// Waits until `condition` holds; false after `deadline`.
bool WaitFor(const std::function<bool()>& condition,
             std::chrono::milliseconds deadline = kTestDeadline);

}  // namespace penstock::http
