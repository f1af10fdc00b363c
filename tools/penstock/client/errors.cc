#include "tools/penstock/client/errors.h"

#include <fmt/format.h>

#include "libs/base/status.h"

namespace penstock::cli {
namespace {

constexpr char kReasonUsage[] = "USAGE";
constexpr char kReasonNotReachable[] = "SERVER_NOT_REACHABLE";

// What helps with an error, or empty.
std::string_view HintOf(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  if (reason == kReasonNotReachable) {
    return "start a server with `penstock up`, or name one with --server HOST:PORT or "
           "PENSTOCK_SERVER";
  }
  if (reason == kReasonUsage) return "add --help to the command to see how it is used";
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "give an API key with --token or PENSTOCK_TOKEN";
    case absl::StatusCode::kAborted: return "read the resource again and repeat the change";
    case absl::StatusCode::kDeadlineExceeded: return "allow more time with --timeout";
    case absl::StatusCode::kUnimplemented:
      return "this server does not have that; `penstock version` and `penstock status` tell what "
             "runs";
    default: return "";
  }
}

}  // namespace

absl::Status UsageError(std::string_view message) {
  return WithReason(absl::InvalidArgumentError(std::string(message)), kReasonUsage);
}

absl::Status NotReachableError(std::string_view server, std::string_view reason) {
  return WithReason(
      absl::UnavailableError(fmt::format("no server answers at {}: {}", server, reason)),
      kReasonNotReachable);
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  const std::string reason = ReasonOf(status);
  if (reason == kReasonUsage) return kExitUsage;
  if (reason == kReasonNotReachable) return kExitNotReachable;
  return kExitError;
}

std::string ErrorText(const absl::Status& status) {
  const std::string message(status.message());
  std::string text = fmt::format(
      "error: {}\n", message.empty() ? std::string(CodeName(status.code())) : Printable(message));
  for (const FieldViolation& violation : FieldViolationsOf(status)) {
    if (message.find(violation.field) != std::string::npos) continue;
    text += fmt::format("  {}: {}\n", Printable(violation.field), Printable(violation.description));
  }
  if (const std::string_view hint = HintOf(status); !hint.empty()) {
    text += fmt::format("hint: {}\n", hint);
  }
  return text;
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_control = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    out += is_control ? '?' : c;
  }
  return out;
}

}  // namespace penstock::cli
