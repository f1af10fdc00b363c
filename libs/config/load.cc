#include "libs/config/load.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "libs/base/status.h"
#include "libs/config/help.h"
#include "libs/config/sources.h"
#include "libs/config/table.h"
#include "libs/config/version.h"
#include "libs/config/yaml.h"

namespace penstock::config {
namespace {

void Print(std::FILE* file, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

LoadIo WithDefaults(LoadIo io) {
  if (!io.environment) {
    io.environment = [](const std::string& name) -> std::optional<std::string> {
      const char* const value = std::getenv(name.c_str());
      if (value == nullptr) return std::nullopt;
      return value;
    };
  }
  if (!io.out) io.out = [](const std::string& text) { Print(stdout, text); };
  if (!io.error) io.error = [](const std::string& text) { Print(stderr, text); };
  return io;
}

void ReadFile(const std::string& path, Binder& binder, Problems& problems) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    problems.Add({path, 0, 0}, "", "is a folder, not a file");
    return;
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    problems.Add({path, 0, 0}, "", fmt::format("cannot be opened: {}", std::strerror(errno)));
    return;
  }
  std::string text;
  // One byte beyond the limit is enough to notice it.
  text.resize(kYamlBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) {
    problems.Add({path, 0, 0}, "", fmt::format("cannot be read: {}", std::strerror(errno)));
    return;
  }
  binder.ReadMap(ParseYaml(text, path, problems), "", problems);
}

// The place of the key that `field` names or lies in.
Place PlaceOf(const internal::Table& table, std::string_view field) {
  while (!field.empty()) {
    if (const internal::Key* key = table.Find(field); key != nullptr) return key->place;
    const std::size_t cut = field.find_last_of(".[");
    if (cut == std::string_view::npos) break;
    field = field.substr(0, cut);
  }
  return {};
}

// Adds what `status` says, but for keys that have a problem already: their fields hold what they
// held before, so a second message would mislead.
void AddStatus(const absl::Status& status, const internal::Table& table, Problems& problems) {
  if (status.ok()) return;
  const std::vector<FieldViolation> violations = FieldViolationsOf(status);
  if (violations.empty()) {
    problems.Add({}, "", std::string(status.message()));
    return;
  }
  const Problems before = problems;
  for (const FieldViolation& violation : violations) {
    if (before.Concerns(violation.field)) continue;
    problems.Add(PlaceOf(table, violation.field), violation.field, violation.description);
  }
}

void PrintProblems(const Program& program, const Problems& problems, const LoadIo& io) {
  std::string text;
  for (const Problem& problem : problems.all()) text += problem.ToString() + "\n";
  text += fmt::format("{}: the configuration has {} problem{}\n", program.name, problems.size(),
                      problems.size() == 1 ? "" : "s");
  io.error(text);
}

}  // namespace

Outcome Load(const Program& program, int argc, const char* const* argv, Binder& binder,
             const Validate& validate, const LoadIo& given_io) {
  const LoadIo io = WithDefaults(given_io);
  internal::Table& table = binder.table();
  Problems problems;
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const internal::CommandLine line = internal::ParseCommandLine(arguments, table, problems);
  if (line.help) {
    io.out(internal::HelpText(program, table));
    return {};
  }
  if (line.version) {
    io.out(fmt::format("{} {}\n", program.name, Version()));
    return {};
  }

  Outcome outcome;
  outcome.config_file = line.config_file;
  for (const std::string& service : {program.service, std::string()}) {
    if (!outcome.config_file.empty()) break;
    outcome.config_file = io.environment(internal::EnvironmentName(service, "config")).value_or("");
  }
  if (!outcome.config_file.empty()) ReadFile(outcome.config_file, binder, problems);
  internal::ApplyEnvironment(io.environment, program.service, table, problems);
  internal::ApplyCommandLine(line, problems);
  AddStatus(binder.CheckValues(), table, problems);
  if (validate) AddStatus(validate(), table, problems);

  if (!problems.empty()) {
    PrintProblems(program, problems, io);
    outcome.exit_code = kExitBadConfig;
    return outcome;
  }
  if (line.print_config) io.out(ToYaml(table.Write(true)));
  if (line.check_config) io.out("config ok\n");
  outcome.run = !line.print_config && !line.check_config;
  return outcome;
}

}  // namespace penstock::config
