// `penstock up`.
#pragma once

#include "tools/penstock/commands/cli.h"

namespace penstock::cli {

// Adds the command. It runs until a signal stops it.
void AddUpCommand(Cli& cli);

}  // namespace penstock::cli
