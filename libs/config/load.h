// Reads the configuration of a program: defaults, then a YAML file, environment, flags.
//
//   int main(int argc, char** argv) {
//     lifecycle::BlockSignals();
//     GatewayConfig config;
//     config::Binder binder;
//     Bind(binder, &config);
//     const config::Outcome outcome = config::Load(
//         {.name = "penstock-gateway", .service = "gateway"}, argc, argv, binder,
//         [&] { return config.Validate(); });
//     if (!outcome.run) return outcome.exit_code;
//     …
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/config/binder.h"

namespace penstock::config {

// The exit code for a configuration that is wrong.
inline constexpr int kExitBadConfig = 2;

struct Program {
  // As it is called, for --help and messages: "penstock-gateway".
  std::string name;
  // For the environment: "event-broker" gives PENSTOCK_EVENT_BROKER_HTTP_LISTEN. May be empty.
  std::string service;
  // One sentence for --help.
  std::string summary;
};

// Checks what the fields say together. Its violations (FieldErrors) name keys; what it returns
// without violations counts as one problem.
using Validate = std::function<absl::Status()>;

// The world that Load reads and writes, for tests. Empty members mean the process's own.
struct LoadIo {
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::function<void(const std::string& text)> out;
  std::function<void(const std::string& text)> error;
};

struct Outcome {
  // True: go on. False: leave main with `exit_code`.
  bool run = false;
  int exit_code = 0;
  // The file that was read, or empty.
  std::string config_file;
};

// Reads all sources into the bound fields and checks them. Prints every problem to standard error
// and gives exit code 2 when there is one. Handles --config FILE (or PENSTOCK_CONFIG),
// --check-config,
// --print-config, --help and --version, which do not run.
Outcome Load(const Program& program, int argc, const char* const* argv, Binder& binder,
             const Validate& validate = {}, const LoadIo& io = {});

}  // namespace penstock::config
