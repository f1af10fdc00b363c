// From what a user gives to the driver of a function.
#pragma once

#include <penstock/functions/v1/function.pb.h>

#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::cli {

// The flags of `function create` and `function update` as given; empty means not given.
struct FunctionFlags {
  std::string source;  // A file, or "-".
  std::string runtime;
  std::string handler;
  std::string url;
  std::string format;
  std::string signing_secret;  // An id.
  std::string command;
  bool is_noop = false;
  std::vector<std::string> weighted;  // FUNCTION=WEIGHT.
  std::string timeout;
  std::vector<std::string> environment;
  std::vector<std::string> secrets;  // Ids; "" alone for none.
  std::vector<std::string> metadata;
  std::string description;
  std::string input_schema;   // A file, or "-".
  std::string output_schema;  // The same.
  std::string middleware;     // The same.
  int max_workers = 0;
  int max_concurrency = 0;
};

// Reads a JSON list of steps from a file, or from `in` for "-", into the field `middleware` of
// `message`. UsageError naming `flag` for anything else.
absl::Status ReadMiddleware(std::string_view flag, const std::string& path, std::istream& in,
                            google::protobuf::Message* message);

// The runtime for a source file: by its ending (.py python3; .js, .mjs, .cjs node), else `exec` for
// a text that starts with "#!". The error says what to give.
absl::StatusOr<std::string> DetectRuntime(std::string_view path, std::string_view source);

// Puts the flags into `function` and the paths of the fields that they set into `paths`. Reads the
// source file, or `in` for "-". UsageError for flags that exclude each other.
absl::Status ApplyFunctionFlags(const FunctionFlags& flags, std::istream& in,
                                functions::v1::Function* function, std::vector<std::string>* paths);

}  // namespace penstock::cli
