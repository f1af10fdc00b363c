// Flags and the environment as sources of values. For load.cc.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/config/problems.h"
#include "libs/config/table.h"

namespace penstock::config::internal {

struct CommandLine {
  bool help = false;
  bool version = false;
  bool check_config = false;
  bool print_config = false;
  // Empty: not given.
  std::string config_file;
  // The texts of each key's flags, in order.
  std::map<Key*, std::vector<std::string>> values;
};

// Sorts the arguments after the program's name.
CommandLine ParseCommandLine(const std::vector<std::string>& arguments, const Table& table,
                             Problems& problems);

// Reads the flags into the fields.
void ApplyCommandLine(const CommandLine& line, Problems& problems);

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// "PENSTOCK_GATEWAY_HTTP_LISTEN"; without the service's part when `service` is empty.
std::string EnvironmentName(const std::string& service, const std::string& key);

// Reads the environment into the fields. An empty variable counts as not set.
void ApplyEnvironment(const Environment& environment, const std::string& service,
                      const Table& table, Problems& problems);

}  // namespace penstock::config::internal
