// The program's command line: commands, flags, help, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "tools/penstock/commands/context.h"

namespace penstock::cli {

// Commands add themselves, then Run parses and runs one. Not thread-safe.
class Cli {
 public:
  // Does the work of a command. Prints results itself; an error is printed by Run.
  using Action = std::function<absl::Status(Context&)>;

  // `io` and `clock` must outlive it.
  Cli(Io& io, const Clock& clock);

  // The parser, with the flags that every command has.
  CLI::App& root() { return root_; }

  // Adds a command below `parent`. `examples` are lines for --help.
  static CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& summary,
                       const std::string& examples);

  // What `command` does when it is the one that was called.
  void SetAction(CLI::App* command, Action action);

  // Parses the arguments, runs the command and returns the exit code.
  int Run(int argc, const char* const* argv);

  // argv[0] of the run.
  const std::string& program() const { return program_; }

 private:
  int RunAction();
  int OnParseError(const CLI::ParseError& error);

  Io& io_;
  const Clock& clock_;
  std::string program_ = "penstock";
  GlobalOptions options_;
  CLI::App root_;
  Action action_;
};

// A flag that may be repeated and takes one value each time.
CLI::Option* AddList(CLI::App* command, const std::string& name, std::vector<std::string>* target,
                     const std::string& help);

}  // namespace penstock::cli
