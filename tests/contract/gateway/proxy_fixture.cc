#include "tests/contract/gateway/proxy_fixture.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace penstock::gateway {

TestUpstream::TestUpstream(Answer answer, http::ServerOptions options)
    : loops_({.threads = 1, .name = "upstream"}) {
  options.limits.body_bytes_max = std::size_t{64} << 20;
  auto server = http::Server::Start(
      loops_, std::move(options),
      [this, answer = std::move(answer)](http::Request request,
                                         std::shared_ptr<http::Exchange> exchange) {
        http::Response response =
            answer ? answer(request) : http::Response::Text(200, std::move(request.body));
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(std::move(request));
        }
        exchange->Respond(std::move(response));
      });
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

TestUpstream::~TestUpstream() { server_->Stop(); }

std::string TestUpstream::url() const { return "http://" + authority(); }
std::string TestUpstream::authority() const { return fmt::format("127.0.0.1:{}", server_->port()); }

std::vector<http::Request> TestUpstream::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

http::Request TestUpstream::last() const {
  const std::lock_guard lock(mutex_);
  return requests_.empty() ? http::Request() : requests_.back();
}

ProxyUpstream& ProxyTest::AddUpstream(const std::string& name,
                                      const std::vector<std::string>& urls) {
  ProxyUpstream upstream;
  upstream.name = name;
  for (const std::string& url : urls) upstream.servers.push_back({.url = url});
  config.proxy.upstreams.push_back(std::move(upstream));
  ProxyRoute route;
  route.path_prefix = "/" + name;
  route.upstream = name;
  config.proxy.routes.push_back(std::move(route));
  return config.proxy.upstreams.back();
}

double ProxyTest::Metric(const std::string& line) const {
  const std::string text = metrics.Serialize();
  const std::size_t found = text.find("\n" + line + " ");
  return found == std::string::npos ? -1 : std::stod(text.substr(found + line.size() + 2));
}

std::string TestBytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

std::size_t SendUntilBlocked(http::RawSocket& socket, std::size_t bytes_max) {
  const std::string bytes = TestBytes(64 * 1024);
  std::size_t sent = 0;
  while (sent < bytes_max) {
    // So long without room says that nobody reads at the other end.
    pollfd wait{socket.fd(), POLLOUT, 0};
    if (poll(&wait, 1, 300) <= 0) break;
    const std::size_t size = std::min(bytes.size(), bytes_max - sent);
    const ssize_t taken = send(socket.fd(), bytes.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) break;
    if (taken > 0) sent += static_cast<std::size_t>(taken);
  }
  return sent;
}

}  // namespace penstock::gateway
