#include "libs/lifecycle/process_config.h"

#include <string>

namespace penstock::lifecycle {

void BindProcessConfig(config::Binder& binder, ProcessConfig* config) {
  using namespace std::chrono_literals;
  binder.Enum<log::Level>("log.level", &config->log_level,
                          {{"debug", log::Level::kDebug},
                           {"info", log::Level::kInfo},
                           {"warn", log::Level::kWarn},
                           {"error", log::Level::kError},
                           {"off", log::Level::kOff}},
                          "log lines below this level are left out");
  binder.Reloadable("log.level");
  binder.Enum<log::Format>(
      "log.format", &config->log_format,
      {{"auto", log::Format::kAuto}, {"json", log::Format::kJson}, {"text", log::Format::kText}},
      "auto is text on a terminal and json elsewhere");
  binder.Listen("admin.listen", &config->admin_listen,
                "where /healthz, /readyz and /metrics are served");
  binder.Duration("shutdown.delay", &config->shutdown_delay,
                  "wait between becoming not ready and the stop", {0us, 10min});
  binder.Duration("shutdown.deadline", &config->shutdown_deadline,
                  "how long a graceful stop may take", {100ms, 1h});
}

void ApplyLogConfig(const ProcessConfig& config, std::string_view service) {
  log::Configure({.level = config.log_level,
                  .format = config.log_format,
                  .service = std::string(service),
                  .sink = {}});
}

}  // namespace penstock::lifecycle
