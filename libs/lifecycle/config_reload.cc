#include "libs/lifecycle/config_reload.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_join.h"
#include "libs/config/changes.h"
#include "libs/log/log.h"

namespace penstock::lifecycle {
namespace {

std::map<std::string, std::string> ValuesOf(const config::Binder& binder) {
  std::map<std::string, std::string> values;
  for (config::KeyState& key : config::KeyStates(binder)) {
    values.emplace(std::move(key.name), std::move(key.value));
  }
  return values;
}

metrics::Counter& CounterOf(metrics::Registry& registry, std::string_view result) {
  return registry
      .CounterFamily("penstock_config_reloads_total",
                     "Readings of the configuration after the start, by what came of them.",
                     {"result"})
      .With({result});
}

}  // namespace

ConfigReload::ConfigReload(config::Program program, std::vector<std::string> arguments,
                           const config::Binder& running, metrics::Registry& registry,
                           std::function<Reading()> prepare)
    : program_(std::move(program)),
      arguments_(std::move(arguments)),
      prepare_(std::move(prepare)),
      succeeded_(CounterOf(registry, "success")),
      refused_(CounterOf(registry, "refused")),
      last_success_(registry.Gauge("penstock_config_last_reload_success_timestamp_seconds",
                                   "When the configuration was last taken over after the start, in "
                                   "Unix time; 0: not yet.")),
      started_(ValuesOf(running)),
      applied_(started_) {}

absl::Status ConfigReload::Run() {
  Reading reading = prepare_();
  std::vector<const char*> argv;
  for (const std::string& argument : arguments_) argv.push_back(argument.c_str());
  std::string problems;
  config::LoadIo io;
  io.error = [&problems](const std::string& text) { problems += text; };
  const config::Outcome outcome = config::Load(program_, static_cast<int>(argv.size()), argv.data(),
                                               reading.binder, reading.validate, io);
  auto renewed = outcome.run ? reading.apply() : absl::InvalidArgumentError(std::move(problems));
  if (!renewed.ok()) {
    refused_.Increment();
    log::Error("the new configuration is refused, the old one goes on",
               {{"file", outcome.config_file}, {"error", renewed.status()}});
    return renewed.status();
  }
  succeeded_.Increment();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  last_success_.Set(std::chrono::duration<double>(now).count());
  std::vector<std::string> changed = *std::move(renewed);
  std::vector<std::string> fixed;
  for (config::KeyState& key : config::KeyStates(reading.binder)) {
    if (!key.reloadable) {
      if (key.value != started_[key.name]) fixed.push_back(key.name);
    } else if (std::string& applied = applied_[key.name]; applied != key.value) {
      changed.push_back(key.name);
      applied = std::move(key.value);
    }
  }
  log::Info("the configuration was read again",
            {{"file", outcome.config_file}, {"changed", absl::StrJoin(changed, ", ")}});
  if (!fixed.empty()) {
    log::Warn("some changes take effect at the next start only",
              {{"keys", absl::StrJoin(fixed, ", ")}});
  }
  return absl::OkStatus();
}

}  // namespace penstock::lifecycle
