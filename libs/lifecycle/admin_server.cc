#include "libs/lifecycle/admin_server.h"

#include <utility>

#include "fmt/format.h"
#include "libs/http/event_loops.h"
#include "libs/http/server.h"

namespace penstock::lifecycle {
namespace {

// What requests in flight get when the server stops: these answers take milliseconds.
constexpr std::chrono::milliseconds kDrainTime{500};

http::Response WithoutCaching(http::Response response) {
  response.headers.Set("Cache-Control", "no-store");
  return response;
}

}  // namespace

class AdminServer::Impl {
 public:
  Impl(AdminServerOptions options, const Readiness& readiness, const metrics::Registry& registry)
      : options_(std::move(options)),
        readiness_(readiness),
        registry_(registry),
        loops_({.threads = 1, .name = "admin"}) {}

  absl::Status Start() {
    http::ServerOptions options;
    options.bind_address = options_.listen.address;
    options.port = options_.listen.port;
    options.limits.body_bytes_max = 64 * 1024;
    options.limits.connections_max = 256;
    absl::StatusOr<std::unique_ptr<http::Server>> server = http::Server::Start(
        loops_, std::move(options),
        [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
          exchange->Respond(WithoutCaching(Answer(request)));
        });
    if (!server.ok()) return std::move(server).status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  void Stop() {
    if (server_ == nullptr) return;
    server_->StopAccepting();
    server_->Drain(kDrainTime);
    server_->Stop();
    loops_.Stop();
  }

  std::uint16_t port() const { return server_->port(); }

 private:
  http::Response Answer(const http::Request& request) const {
    const std::string path(request.path());
    const auto page = options_.pages.find(path);
    const bool is_known = path == "/healthz" || path == "/readyz" || path == "/metrics" ||
                          page != options_.pages.end();
    if (!is_known) {
      return http::Response::Text(404, "not found; try /healthz, /readyz or /metrics\n");
    }
    if (request.method != "GET" && request.method != "HEAD") {
      http::Response response = http::Response::Text(405, "expected GET or HEAD\n");
      response.headers.Set("Allow", "GET, HEAD");
      return response;
    }
    if (path == "/healthz") return http::Response::Text(200, "ok\n");
    if (path == "/readyz") return Ready();
    if (path == "/metrics") return Metrics();
    return page->second(request);
  }

  http::Response Ready() const {
    const Readiness::Report report = readiness_.Evaluate();
    return http::Response::Json(report.ready ? 200 : 503, report.ToJson());
  }

  http::Response Metrics() const {
    http::Response response = http::Response::Text(200, registry_.Serialize());
    response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    return response;
  }

  const AdminServerOptions options_;
  const Readiness& readiness_;
  const metrics::Registry& registry_;
  http::EventLoops loops_;
  std::unique_ptr<http::Server> server_;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(AdminServerOptions options,
                                                                const Readiness& readiness,
                                                                const metrics::Registry& registry) {
  auto impl = std::make_unique<Impl>(std::move(options), readiness, registry);
  if (const absl::Status status = impl->Start(); !status.ok()) return status;
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() { Stop(); }

std::uint16_t AdminServer::port() const { return impl_->port(); }
void AdminServer::Stop() { impl_->Stop(); }

}  // namespace penstock::lifecycle
