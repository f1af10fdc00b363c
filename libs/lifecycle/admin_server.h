// The port for operators: /healthz, /readyz and /metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/config/listen_address.h"
#include "libs/http/message.h"
#include "libs/lifecycle/readiness.h"
#include "libs/metrics/metrics.h"

namespace penstock::lifecycle {

struct AdminServerOptions {
  // Port 0 picks a free one.
  config::ListenAddress listen;
  // Further pages by exact path, for example "/debug/routes". GET and HEAD only; run on the admin
  // thread.
  std::map<std::string, std::function<http::Response(const http::Request&)>> pages;
};

// Answers GET /healthz (200 while the process lives), /readyz (200 when ready, else 503, with the
// checks as JSON) and /metrics (Prometheus text), on a thread of its own, so that it answers while
// the others are busy. `readiness` and `registry` must outlive it.
class AdminServer {
 public:
  // Fails with a status that names the address.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(AdminServerOptions options,
                                                            const Readiness& readiness,
                                                            const metrics::Registry& registry);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  std::uint16_t port() const;

  // Closes the port and all connections. Idempotent; the destructor does it too. The last thing an
  // application stops, so that probes see it drain.
  void Stop();

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::lifecycle
