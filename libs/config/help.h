// The text of --help. For load.cc.
#pragma once

#include <string>

#include "libs/config/load.h"
#include "libs/config/table.h"

namespace penstock::config::internal {

// Every key with type, default and help. To be called while the fields still hold their defaults.
std::string HelpText(const Program& program, const Table& table);

}  // namespace penstock::config::internal
