// What Connect has of its own: codes, errors and ends of streams in JSON, timeouts, and the query
// of a GET (Connect Protocol Reference).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::webrpc {

// How a call ended.
struct Outcome {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  // A serialized google.rpc.Status; may be empty.
  std::string details;
};

// Names in lower case with their values, which are base64 where the name ends in -bin.
using MetadataText = std::vector<std::pair<std::string, std::string>>;

// "invalid_argument"; empty for OK.
std::string_view ConnectCode(absl::StatusCode code);

// {"code":…,"message":…,"details":[{"type":…,"value":…,"debug":…}]}; `debug` for the types that are
// compiled in. Details that do not parse are left out.
std::string ErrorJson(const Outcome& outcome);

// The last message of a stream: {"error":…,"metadata":{…}}, each where there is one.
std::string EndOfStreamJson(const Outcome& outcome, const MetadataText& trailers);

// The value of Connect-Timeout-Ms: at most ten digits. INVALID_ARGUMENT naming the header.
absl::StatusOr<std::chrono::milliseconds> ParseConnectTimeout(std::string_view text);

// The parameter `connect` of the query of a GET, which tells Connect's from others: "v1". Nothing
// without it.
std::optional<std::string_view> GetVersion(std::string_view query);

// The query of a GET.
struct GetQuery {
  // Empty when it is not given.
  std::string version;
  std::string encoding;
  std::string compression;
  // Without its base64.
  std::string message;
};

// Takes parameters in any order and passes over others. INVALID_ARGUMENT naming the parameter that
// is missing, there twice, or malformed.
absl::StatusOr<GetQuery> ParseGetQuery(std::string_view query);

}  // namespace penstock::webrpc
