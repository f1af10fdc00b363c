// The settings that every program of the suite has.
#pragma once

#include <chrono>
#include <string_view>

#include "libs/config/binder.h"
#include "libs/config/listen_address.h"
#include "libs/log/log.h"

namespace penstock::lifecycle {

struct ProcessConfig {
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kAuto;
  config::ListenAddress admin_listen;
  // Between not ready and the stop, and for the stop itself: RunOptions.
  std::chrono::milliseconds shutdown_delay{0};
  std::chrono::milliseconds shutdown_deadline{25'000};
};

// Binds log.level, log.format, admin.listen, shutdown.delay and shutdown.deadline.
void BindProcessConfig(config::Binder& binder, ProcessConfig* config);

// Configures libs/log after `config`, as service `service`.
void ApplyLogConfig(const ProcessConfig& config, std::string_view service);

}  // namespace penstock::lifecycle
