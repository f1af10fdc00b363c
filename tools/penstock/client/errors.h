// How the client's errors end the program: exit codes, and hints what to do.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::cli {

// What the program exits with; documented in docs/cli.md.
enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,         // The server refused, or an input is wrong in itself.
  kExitUsage = 2,         // The command line is wrong.
  kExitNotReachable = 3,  // No server answers.
  kExitFunctionFailed = 4,
  kExitDamaged = 5,  // Stored events are damaged or missing.
};

// INVALID_ARGUMENT that ends with kExitUsage.
absl::Status UsageError(std::string_view message);

// UNAVAILABLE that ends with kExitNotReachable; `reason` is what the transport says.
absl::Status NotReachableError(std::string_view server, std::string_view reason);

// The exit code for what a command returned.
int ExitCodeOf(const absl::Status& status);

// "error: …" with what to do about it, as lines with their ends. Violations that the message does
// not name get lines of their own. Control characters do not reach the terminal.
std::string ErrorText(const absl::Status& status);

// `text` with control characters (but line ends and tabs) replaced, so that what comes from a
// server cannot drive the terminal.
std::string Printable(std::string_view text);

}  // namespace penstock::cli
