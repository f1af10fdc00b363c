// The gateway as a reverse proxy between raw clients and upstreams that a test plays.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/http/event_loops.h"
#include "libs/http/server.h"
#include "tests/contract/gateway/fixture.h"
#include "tests/unit/libs/http/raw_socket.h"

namespace penstock::gateway {

// An HTTP server that keeps what it was asked.
class TestUpstream {
 public:
  using Answer = std::function<http::Response(const http::Request&)>;

  explicit TestUpstream(Answer answer = nullptr, http::ServerOptions options = {});
  ~TestUpstream();

  std::string url() const;
  std::string authority() const;
  std::uint64_t connections() const { return server_->Stats().connections_total; }
  std::uint64_t open_connections() const { return server_->Stats().connections_open; }
  std::vector<http::Request> requests() const;
  // The last one; empty when there was none.
  http::Request last() const;

 private:
  mutable std::mutex mutex_;
  std::vector<http::Request> requests_;
  http::EventLoops loops_;
  std::unique_ptr<http::Server> server_;
};

class ProxyTest : public GatewayTest {
 protected:
  // Adds an upstream, and a route to it from a path of the same name: "/shop" for "shop".
  ProxyUpstream& AddUpstream(const std::string& name, const std::vector<std::string>& urls);
  http::RawSocket Connect(int receive_buffer = 0) {
    return http::RawSocket::Connect(http_port(), receive_buffer);
  }
  // The value of a metric, by the beginning of its line; -1 when there is none.
  double Metric(const std::string& line) const;
};

// `size` bytes that differ from place to place.
std::string TestBytes(std::size_t size);

// Sends without waiting until the kernel takes nothing for a while; how much it took.
std::size_t SendUntilBlocked(http::RawSocket& socket, std::size_t bytes_max);

}  // namespace penstock::gateway
