// The main of a service that runs as a program of its own.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "libs/base/status.h"
#include "libs/base/time.h"
#include "libs/config/load.h"
#include "libs/config/version.h"
#include "libs/lifecycle/admin_server.h"
#include "libs/lifecycle/app.h"
#include "libs/lifecycle/config_reload.h"
#include "libs/lifecycle/process_config.h"
#include "libs/lifecycle/readiness.h"
#include "libs/lifecycle/signals.h"
#include "libs/log/log.h"
#include "libs/metrics/metrics.h"

namespace penstock::lifecycle {

// Loads the configuration, makes the app with what a process owns, and runs it until a signal.
// Returns the exit code. `admin_port` is the default. `App` has a static Create(Config, Shared),
// `Config` has Validate(), and Bind(Binder&, Config&) stands in its namespace. SIGHUP reads the
// configuration again: the level of the log is taken over, and what the app's Reload(const
// Config&), if it has one, takes; it gives further keys to name as changed, as
// ConfigReload::Reading::apply does.
template <typename App, typename Config>
int ServiceMain(const config::Program& program, std::uint16_t admin_port, int argc, char** argv) {
  BlockSignals();
  Config config;
  ProcessConfig process;
  process.admin_listen = {"127.0.0.1", admin_port};
  config::Binder binder;
  Bind(binder, config);
  BindProcessConfig(binder, &process);
  const auto loaded = config::Load(program, argc, argv, binder, [&] { return config.Validate(); });
  if (!loaded.run) return loaded.exit_code;
  ApplyLogConfig(process, program.service);

  metrics::Registry metrics;
  metrics::RegisterProcessMetrics(metrics, program.service, config::Version());
  Readiness readiness;
  auto app = App::Create(config, {SystemClock(), metrics, readiness});
  auto admin = AdminServer::Start({process.admin_listen, {}}, readiness, metrics);
  for (const absl::Status& status : {app.status(), admin.status()}) {
    if (status.ok()) continue;
    log::Error("cannot start", {{"error", status}});
    return 1;
  }
  ConfigReload reload(program, {argv, argv + argc}, binder, metrics, [&program, admin_port, &app] {
    struct Fields {
      Config config;
      ProcessConfig process;
    };
    auto fields = std::make_shared<Fields>();
    fields->process.admin_listen = {"127.0.0.1", admin_port};
    ConfigReload::Reading reading;
    Bind(reading.binder, fields->config);
    BindProcessConfig(reading.binder, &fields->process);
    reading.validate = [fields] { return fields->config.Validate(); };
    reading.apply = [fields, &app]() -> absl::StatusOr<std::vector<std::string>> {
      std::vector<std::string> renewed;
      if constexpr (requires { (*app)->Reload(fields->config); }) {
        ASSIGN_OR_RETURN(renewed, (*app)->Reload(fields->config));
      }
      log::SetLevel(fields->process.log_level);
      return renewed;
    };
    reading.fields = std::move(fields);
    return reading;
  });
  return RunUntilSignal(**app, {.stop_deadline = process.shutdown_deadline,
                                .readiness = &readiness,
                                .stop_delay = process.shutdown_delay,
                                .on_hangup = [&reload] { reload.Run().IgnoreError(); }});
}

}  // namespace penstock::lifecycle
