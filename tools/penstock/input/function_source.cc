#include "tools/penstock/input/function_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"
#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/input/values.h"
#include "tools/penstock/output/table.h"

namespace penstock::cli {
namespace {

using functions::v1::Function;
using functions::v1::HttpDriver;

absl::Status ApplySource(const FunctionFlags& flags, std::istream& in, Function* function) {
  auto& process = *function->mutable_process();
  ASSIGN_OR_RETURN(*process.mutable_source(), ReadInput(flags.source, in));
  if (!flags.runtime.empty()) {
    process.set_runtime(flags.runtime);
  } else {
    ASSIGN_OR_RETURN(*process.mutable_runtime(), DetectRuntime(flags.source, process.source()));
  }
  return absl::OkStatus();
}

absl::Status ApplyCommand(const FunctionFlags& flags, Function* function) {
  auto& process = *function->mutable_process();
  ASSIGN_OR_RETURN(const auto words, SplitWords("--command", flags.command));
  if (words.empty() || !words[0].starts_with('/')) {
    return UsageError(fmt::format(
        "--command: expected the absolute path of a program and its arguments, but this is \"{}\"",
        flags.command));
  }
  process.set_runtime(flags.runtime.empty() ? "exec" : flags.runtime);
  for (const std::string& word : words) process.add_command(word);
  return absl::OkStatus();
}

absl::Status ApplyUrl(const FunctionFlags& flags, Function* function) {
  function->mutable_http()->set_url(flags.url);
  function->mutable_http()->set_signing_secret(flags.signing_secret);
  if (flags.format.empty()) return absl::OkStatus();
  std::string upper = flags.format;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  HttpDriver::Format format = HttpDriver::FORMAT_UNSPECIFIED;
  if (!HttpDriver::Format_Parse(upper, &format) || format == HttpDriver::FORMAT_UNSPECIFIED) {
    return UsageError(fmt::format(
        "--format: expected binary, structured, raw or context, but this is \"{}\"", flags.format));
  }
  function->mutable_http()->set_format(format);
  return absl::OkStatus();
}

absl::Status ReadSchema(std::string_view flag, const std::string& path, std::istream& in,
                        google::protobuf::Struct* schema) {
  ASSIGN_OR_RETURN(const std::string text, ReadInput(path, in));
  const absl::Status parsed = protojson::ParseJson(text, schema);
  if (parsed.ok()) return parsed;
  return UsageError(fmt::format("{}: expected a JSON Schema, an object, in {}: {}", flag, path,
                                std::string(parsed.message())));
}

absl::Status ApplyWeighted(const FunctionFlags& flags, Function* function) {
  for (const std::string& text : flags.weighted) {
    const std::size_t equals = text.find('=');
    std::int32_t weight = -1;
    if (equals == std::string::npos || !absl::SimpleAtoi(text.substr(equals + 1), &weight)) {
      return UsageError(
          fmt::format("--weighted: expected FUNCTION=WEIGHT, like a=95, but this is \"{}\"", text));
    }
    auto* target = function->mutable_weighted()->add_targets();
    target->set_function(text.substr(0, equals));
    target->set_weight(weight);
  }
  return absl::OkStatus();
}

// The driver that the flags name; none is an error unless `is_optional`.
absl::Status ApplyDriver(const FunctionFlags& flags, std::istream& in, Function* function) {
  const std::array<bool, 5> given = {!flags.source.empty(), !flags.url.empty(),
                                     !flags.command.empty(), flags.is_noop,
                                     !flags.weighted.empty()};
  const auto count = std::count(given.begin(), given.end(), true);
  const bool has_process = given[0] || given[2];
  if (count > 1) {
    return UsageError(
        "--source, --url, --command, --weighted and --noop exclude each other: give one");
  }
  if (!has_process && (!flags.runtime.empty() || !flags.handler.empty() || flags.max_workers > 0)) {
    return UsageError("--runtime, --handler and --max-workers go with --source or --command");
  }
  if (flags.url.empty() && !flags.format.empty()) return UsageError("--format goes with --url");
  if (flags.url.empty() && !flags.signing_secret.empty()) {
    return UsageError("--signing-secret goes with --url");
  }
  if (flags.is_noop) function->mutable_noop();
  if (!flags.weighted.empty()) RETURN_IF_ERROR(ApplyWeighted(flags, function));
  if (!flags.url.empty()) RETURN_IF_ERROR(ApplyUrl(flags, function));
  if (!flags.source.empty()) RETURN_IF_ERROR(ApplySource(flags, in, function));
  if (!flags.command.empty()) RETURN_IF_ERROR(ApplyCommand(flags, function));
  if (!has_process) return absl::OkStatus();
  function->mutable_process()->set_handler(flags.handler);
  function->mutable_process()->set_max_workers(flags.max_workers);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadMiddleware(std::string_view flag, const std::string& path, std::istream& in,
                            google::protobuf::Message* message) {
  ASSIGN_OR_RETURN(const std::string text, ReadInput(path, in));
  const absl::Status parsed = protojson::ParseJsonField(
      text, message->GetDescriptor()->FindFieldByName("middleware"), message);
  if (parsed.ok()) return parsed;
  return UsageError(fmt::format("{}: expected a JSON list of steps in {}: {}", flag, path,
                                std::string(parsed.message())));
}

absl::StatusOr<std::string> DetectRuntime(std::string_view path, std::string_view source) {
  if (path.ends_with(".py")) return "python3";
  for (const std::string_view ending : {".js", ".mjs", ".cjs"}) {
    if (path.ends_with(ending)) return "node";
  }
  if (source.starts_with("#!")) return "exec";
  if (source.starts_with("\x7f"
                         "ELF")) {
    return UsageError(fmt::format(
        "--source: {} is a program, not a text: give its absolute path with --command", path));
  }
  return UsageError(fmt::format(
      "--source: cannot tell what runs {}: name it .py or .js, start it with \"#!\", or "
      "give --runtime python3, node or exec",
      path == "-" ? "standard input" : path));
}

absl::Status ApplyFunctionFlags(const FunctionFlags& flags, std::istream& in, Function* function,
                                std::vector<std::string>* paths) {
  RETURN_IF_ERROR(ApplyDriver(flags, in, function));
  if (function->has_http()) paths->push_back("http");
  if (function->has_process()) paths->push_back("process");
  if (function->has_noop()) paths->push_back("noop");
  if (function->has_weighted()) paths->push_back("weighted");
  if (!flags.timeout.empty()) {
    ASSIGN_OR_RETURN(const Microseconds timeout, ParseTimeout("--timeout", flags.timeout));
    *function->mutable_timeout() = ToProtoDuration(timeout);
    paths->push_back("timeout");
  }
  RETURN_IF_ERROR(ParsePairs("--env", flags.environment, function->mutable_environment()));
  if (!flags.environment.empty()) paths->push_back("environment");
  for (const std::string& secret : flags.secrets) {
    if (!secret.empty()) function->add_secrets(secret);
  }
  if (!flags.secrets.empty()) paths->push_back("secrets");
  RETURN_IF_ERROR(ParsePairs("--metadata", flags.metadata, function->mutable_metadata()));
  if (!flags.metadata.empty()) paths->push_back("metadata");
  if (!flags.description.empty()) {
    function->set_description(flags.description);
    paths->push_back("description");
  }
  if (!flags.input_schema.empty()) {
    RETURN_IF_ERROR(
        ReadSchema("--input-schema", flags.input_schema, in, function->mutable_input_schema()));
    paths->push_back("input_schema");
  }
  if (!flags.output_schema.empty()) {
    RETURN_IF_ERROR(
        ReadSchema("--output-schema", flags.output_schema, in, function->mutable_output_schema()));
    paths->push_back("output_schema");
  }
  if (!flags.middleware.empty()) {
    RETURN_IF_ERROR(ReadMiddleware("--middleware", flags.middleware, in, function));
    paths->push_back("middleware");
  }
  if (flags.max_concurrency > 0) {
    function->set_max_concurrency(flags.max_concurrency);
    paths->push_back("max_concurrency");
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
