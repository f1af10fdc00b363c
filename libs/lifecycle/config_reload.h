// Reads the configuration again while the program runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/binder.h"
#include "libs/config/load.h"
#include "libs/metrics/metrics.h"

namespace penstock::lifecycle {

// For SIGHUP (RunOptions::on_hangup). A configuration with any problem changes nothing: the
// problems are logged with their places, and the old one goes on. Keys that are not marked
// Binder::Reloadable are named in a warning when they differ from what the program started with.
// Counts penstock_config_reloads_total by result, and sets
// penstock_config_last_reload_success_timestamp_seconds. Not thread-safe.
class ConfigReload {
 public:
  // One reading, into fields of its own.
  struct Reading {
    config::Binder binder;
    config::Validate validate;
    // Makes the program go by what was read. An error leaves it as it was. Gives further keys to
    // name as changed: those of files that hold something new.
    std::function<absl::StatusOr<std::vector<std::string>>()> apply;
    // Keeps the fields.
    std::shared_ptr<void> fields;
  };

  // `arguments` are argv as the program got it; `running` has what it started with. `prepare` makes
  // a reading whose fields hold the defaults. `registry` must outlive this object.
  ConfigReload(config::Program program, std::vector<std::string> arguments,
               const config::Binder& running, metrics::Registry& registry,
               std::function<Reading()> prepare);

  // Reads and applies. What happened is logged; the status is for callers that tell of it too.
  absl::Status Run();

 private:
  const config::Program program_;
  const std::vector<std::string> arguments_;
  const std::function<Reading()> prepare_;
  metrics::Counter& succeeded_;
  metrics::Counter& refused_;
  metrics::Gauge& last_success_;
  // Values by key: at the start, and of the last reading that was applied.
  std::map<std::string, std::string> started_;
  std::map<std::string, std::string> applied_;
};

}  // namespace penstock::lifecycle
