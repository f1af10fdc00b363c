// Shell completion, made from the command tree.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace penstock::cli {

// The script for "bash", "zsh" or "fish".
std::string CompletionScript(const CLI::App& root, const std::string& shell);

}  // namespace penstock::cli
