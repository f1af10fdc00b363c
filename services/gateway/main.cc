// penstock-gateway: the service as a program of its own.
#include "libs/config/load.h"
#include "libs/config/version.h"
#include "libs/lifecycle/admin_server.h"
#include "libs/lifecycle/process_config.h"
#include "libs/log/log.h"
#include "services/gateway/app/app.h"

int main(int argc, char** argv) {
  using namespace penstock;
  lifecycle::BlockSignals();
  gateway::Config config;
  lifecycle::ProcessConfig process;
  process.admin_listen = {"127.0.0.1", 8083};
  config::Binder binder;
  gateway::Bind(binder, config);
  lifecycle::BindProcessConfig(binder, &process);
  const auto loaded = config::Load({"penstock-gateway", gateway::kServiceName,
                                    "The public entry: events, management API, HTTP events, gRPC."},
                                   argc, argv, binder, [&] { return config.Validate(); });
  if (!loaded.run) return loaded.exit_code;
  lifecycle::ApplyLogConfig(process, gateway::kServiceName);

  metrics::Registry metrics;
  metrics::RegisterProcessMetrics(metrics, gateway::kServiceName, config::Version());
  lifecycle::Readiness readiness;
  auto app = gateway::App::Create(config, {SystemClock(), metrics, readiness});
  auto admin = lifecycle::AdminServer::Start({process.admin_listen, {}}, readiness, metrics);
  for (const absl::Status& status : {app.status(), admin.status()}) {
    if (status.ok()) continue;
    log::Error("cannot start", {{"error", status}});
    return 1;
  }
  return lifecycle::RunUntilSignal(**app, {.stop_deadline = process.shutdown_deadline,
                                           .readiness = &readiness,
                                           .stop_delay = process.shutdown_delay});
}
