#include "services/function-executor/drivers/process/answer_line.h"

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "libs/base/utf8.h"
#include "services/function-executor/domain/content_type.h"
#include "services/function-executor/domain/metric_text.h"
#include "services/function-executor/drivers/process/json_text.h"

namespace penstock::executor {
namespace {

namespace json = boost::json;

constexpr std::size_t kQuoteBytesMax = 200;
constexpr std::size_t kTextBytesMax = 8192;
constexpr std::size_t kFramesMax = 64;
constexpr std::size_t kLogLinesMax = 1024;
constexpr char kJsonType[] = "application/json";

std::string Bounded(std::string_view text) {
  return ToUtf8(text.substr(0, std::min(text.size(), kTextBytesMax)));
}

std::string StringOf(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return Bounded({value->get_string().data(), value->get_string().size()});
}

std::vector<std::string> StringsOf(const json::object& object, const char* key, std::size_t max) {
  std::vector<std::string> strings;
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) return strings;
  for (const json::value& item : value->get_array()) {
    if (strings.size() == max) break;
    if (!item.is_string()) continue;
    strings.push_back(Bounded({item.get_string().data(), item.get_string().size()}));
  }
  return strings;
}

std::optional<ErrorCategory> CategoryOf(std::string_view name) {
  if (name == "InputError") return ErrorCategory::kInput;
  if (name == "FunctionError") return ErrorCategory::kFunction;
  if (name == "SystemError") return ErrorCategory::kSystem;
  return std::nullopt;
}

std::optional<json::value> ParseValue(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error) return std::nullopt;
  return value;
}

// Reads an error in our form (`category` and `type`) or in the founding one (`type` is the
// category). Nothing when it is null or no object.
std::optional<FunctionError> ParseError(std::string_view text) {
  const std::optional<json::value> value = ParseValue(text);
  if (!value) return std::nullopt;
  FunctionError error;
  if (value->is_string()) {
    error.type = "Error";
    error.message = Bounded({value->get_string().data(), value->get_string().size()});
    return error;
  }
  if (!value->is_object()) return std::nullopt;
  const json::object& object = value->get_object();
  error.type = StringOf(object, "type");
  if (const auto category = CategoryOf(StringOf(object, "category"))) {
    error.category = *category;
  } else if (const auto by_type = CategoryOf(error.type)) {
    error.category = *by_type;
  }
  if (error.type.empty()) error.type = "Error";
  error.message = StringOf(object, "message");
  error.stacktrace = StringsOf(object, "stacktrace", kFramesMax);
  return error;
}

Logs ParseLogs(std::string_view text) {
  Logs logs;
  const std::optional<json::value> value = ParseValue(text);
  if (!value || !value->is_object()) return logs;
  logs.out = StringsOf(value->get_object(), "stdout", kLogLinesMax);
  logs.err = StringsOf(value->get_object(), "stderr", kLogLinesMax);
  return logs;
}

bool SetBytes(std::string_view encoded_json, std::string content_type, Outcome* outcome) {
  const std::optional<std::string> encoded = DecodeJsonString(encoded_json);
  std::string bytes;
  if (!encoded || !absl::Base64Unescape(*encoded, &bytes)) return false;
  outcome->payload = std::make_shared<const std::string>(std::move(bytes));
  outcome->content_type = std::move(content_type);
  if (outcome->content_type.empty()) outcome->content_type = "application/octet-stream";
  return true;
}

// Turns the member `payload` into bytes; `content_type` is what the answer says, or empty.
// False for {"base64": …} that is none.
bool SetPayload(std::string_view payload, std::string content_type, Outcome* outcome) {
  if (const std::optional<JsonMembers> members = SplitJsonObject(payload)) {
    const std::string_view base64 = JsonMember(*members, "base64");
    const std::string_view own_type = JsonMember(*members, "contentType");
    if (!base64.empty() && members->size() == (own_type.empty() ? 1U : 2U)) {
      if (!own_type.empty()) content_type = DecodeJsonString(own_type).value_or("");
      return SetBytes(base64, std::move(content_type), outcome);
    }
  }
  if (!content_type.empty() && !IsJsonContentType(content_type)) {
    if (std::optional<std::string> text = DecodeJsonString(payload)) {
      outcome->payload = std::make_shared<const std::string>(*std::move(text));
      outcome->content_type = std::move(content_type);
      return true;
    }
    content_type.clear();  // JSON that is no string cannot be of that type.
  }
  outcome->payload = std::make_shared<const std::string>(payload);
  outcome->content_type = content_type.empty() ? kJsonType : std::move(content_type);
  return true;
}

AnswerLine Invalid(std::string_view problem, std::string_view line) {
  AnswerLine answer;
  answer.valid = false;
  answer.outcome.payload = std::make_shared<const std::string>();
  answer.outcome.error = InvalidAnswer(problem, line);
  return answer;
}

}  // namespace

FunctionError InvalidAnswer(std::string_view problem, std::string_view line) {
  const std::string_view quote = line.substr(0, std::min(line.size(), kQuoteBytesMax));
  return FunctionError{.type = "InvalidAnswer",
                       .message = "the function's answer " + std::string(problem) + ": " +
                                  ToUtf8(quote) + (quote.size() < line.size() ? "…" : "")};
}

std::optional<ReadyLine> ParseReadyLine(std::string_view line) {
  if (!CheckJson(line).ok()) return std::nullopt;
  const std::optional<JsonMembers> members = SplitJsonObject(line);
  if (!members) return std::nullopt;
  const std::string_view ready = JsonMember(*members, "ready");
  if (ready == "true") return ReadyLine{.ready = true};
  if (ready != "false") return std::nullopt;
  ReadyLine result;
  result.error = ParseError(JsonMember(*members, "error"));
  if (!result.error) result.error = InvalidAnswer("that it is not ready has no error", line);
  return result;
}

AnswerLine ParseAnswerLine(std::string_view line) {
  if (const absl::Status check = CheckJson(line); !check.ok()) {
    return Invalid("is not one line of JSON (" + std::string(check.message()) + ")", line);
  }
  const std::optional<JsonMembers> members = SplitJsonObject(line);
  if (!members) return Invalid("is not a JSON object", line);
  std::string_view error = JsonMember(*members, "error");
  std::string_view logs = JsonMember(*members, "logs");
  // The founding contract has both inside of a context.
  if (const auto context = SplitJsonObject(JsonMember(*members, "context"))) {
    if (error.empty()) error = JsonMember(*context, "error");
    if (logs.empty()) logs = JsonMember(*context, "logs");
  }
  AnswerLine answer;
  Outcome& outcome = answer.outcome;
  outcome.payload = std::make_shared<const std::string>();
  if (!logs.empty()) outcome.logs = ParseLogs(logs);
  outcome.metrics = ParseMetrics(JsonMember(*members, "metrics"));
  answer.execution_id = DecodeJsonString(JsonMember(*members, "executionId")).value_or("");
  if (!error.empty() && error != "null") {
    outcome.error = ParseError(error);
    if (!outcome.error) return Invalid("has an error that is neither an object nor a string", line);
    return answer;
  }
  const std::string_view payload = JsonMember(*members, "payload");
  if (payload.empty()) return Invalid("has neither a payload nor an error", line);
  std::string content_type = DecodeJsonString(JsonMember(*members, "contentType")).value_or("");
  if (!SetPayload(payload, std::move(content_type), &outcome)) {
    return Invalid("has a base64 payload that is not base64", line);
  }
  // A content type becomes a header: it must not be able to start another one.
  if (std::any_of(outcome.content_type.begin(), outcome.content_type.end(),
                  [](unsigned char c) { return c < 0x20 || c >= 0x7F; })) {
    return Invalid("has a content type with control or non-ASCII characters", line);
  }
  return answer;
}

}  // namespace penstock::executor
