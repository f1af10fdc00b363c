#include "services/gateway/api/function_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/json_tree.h"
#include "services/gateway/api/http_call.h"

namespace penstock::gateway {
namespace {

namespace pb = executions::v1;
using protojson::JsonValue;

constexpr char kErrorHeader[] = "Penstock-Error";
constexpr char kExecutionHeader[] = "Penstock-Execution";

// The connection's own, which the server writes.
constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection", "content-length",    "keep-alive", "proxy-authenticate", "te",
    "trailer",    "transfer-encoding", "upgrade",    "proxy-connection"};

struct ErrorKind {
  int http_status;
  absl::StatusCode code;
};

ErrorKind KindOf(const pb::FunctionError& error) {
  if (error.type() == "Timeout") return {504, absl::StatusCode::kDeadlineExceeded};
  if (error.category() == "InputError") return {400, absl::StatusCode::kInvalidArgument};
  if (error.category() == "FunctionError") return {502, absl::StatusCode::kUnknown};
  return {503, absl::StatusCode::kUnavailable};
}

http::Response ErrorOf(const pb::FunctionError& error) {
  const ErrorKind kind = KindOf(error);
  const std::string message = error.message().empty() ? error.type() : error.message();
  http::Response response = ErrorAnswer(
      kind.http_status,
      WithReason(absl::Status(kind.code, message), error.type(), {{"category", error.category()}}));
  // The category comes from another service: only what a header may hold goes into one.
  const bool known = error.category() == "InputError" || error.category() == "FunctionError";
  response.headers.Set(kErrorHeader, known ? error.category() : "SystemError");
  return response;
}

http::Response BadAnswer(std::string message) {
  pb::FunctionError error;
  error.set_category("FunctionError");
  error.set_type("InvalidResponse");
  error.set_message(std::move(message));
  return ErrorOf(error);
}

std::optional<JsonValue> Member(const JsonValue& object, std::string_view name) {
  std::optional<JsonValue> found;
  for (const protojson::JsonMember member : object.members()) {
    if (member.key == name) found = member.value;
  }
  return found;
}

// The integer of `statusCode`; nothing when there is none, which makes the object a plain answer.
std::optional<int> StatusCodeOf(const JsonValue& object) {
  const auto value = Member(object, "statusCode");
  if (!value || !value->is_number()) return std::nullopt;
  const std::string_view text = value->text();
  int code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return code;
}

bool IsHopByHop(std::string_view name) {
  return std::any_of(kHopByHop.begin(), kHopByHop.end(),
                     [&](std::string_view hop) { return http::EqualsIgnoreCase(name, hop); });
}

absl::Status AddHeader(std::string_view name, const JsonValue& value, http::Headers& headers) {
  if (value.is_array()) {
    for (const JsonValue element : value.elements()) {
      if (element.is_array()) return absl::InvalidArgumentError("expected a string");
      RETURN_IF_ERROR(AddHeader(name, element, headers));
    }
    return absl::OkStatus();
  }
  if (value.is_object() || value.is_null()) {
    return absl::InvalidArgumentError("expected a string");
  }
  const std::string_view text =
      value.is_bool() ? (value.boolean() ? "true" : "false") : value.text();
  if (!http::IsValidHeader(name, text)) {
    return absl::InvalidArgumentError("expected a name and value that a header can have");
  }
  if (!IsHopByHop(name)) headers.Add(name, text);
  return absl::OkStatus();
}

absl::Status ReadHeaders(const JsonValue& object, http::Headers& headers) {
  const auto given = Member(object, "headers");
  if (!given || given->is_null()) return absl::OkStatus();
  if (!given->is_object()) return absl::InvalidArgumentError("headers: expected an object");
  for (const protojson::JsonMember member : given->members()) {
    const absl::Status added = AddHeader(member.key, member.value, headers);
    if (!added.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("headers.{}: {}", member.key.substr(0, 80), std::string(added.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadBody(const JsonValue& object, http::Response& response) {
  const auto body = Member(object, "body");
  if (!body || body->is_null()) return absl::OkStatus();
  const auto base64 = Member(object, "isBase64");
  if (base64 && base64->is_bool() && base64->boolean()) {
    if (!body->is_string() || !protojson::DecodeBase64(body->text(), &response.body)) {
      return absl::InvalidArgumentError("body: expected base64, as isBase64 is true");
    }
    return absl::OkStatus();
  }
  response.body = body->is_string() ? body->text() : body->raw();
  if (!response.headers.Has("Content-Type")) {
    response.headers.Set("Content-Type",
                         body->is_string() ? "text/plain; charset=utf-8" : "application/json");
  }
  return absl::OkStatus();
}

// The answer that the function composed, if its payload is one.
std::optional<http::Response> Composed(const google::api::HttpBody& payload) {
  if (!cloudevents::IsJsonContentType(payload.content_type())) return std::nullopt;
  const std::string& data = payload.data();
  // Most payloads are not: parsing them all would be a waste.
  if (data.find("\"statusCode\"") == std::string::npos) return std::nullopt;
  protojson::JsonDocument document;
  if (!document.Parse(data).ok() || !document.root().is_object()) return std::nullopt;
  const auto status = StatusCodeOf(document.root());
  if (!status) return std::nullopt;
  if (*status < 200 || *status > 599) {
    return BadAnswer(fmt::format("statusCode: expected 200 to 599, got {}", *status));
  }
  http::Response response;
  response.status = *status;
  absl::Status read = ReadHeaders(document.root(), response.headers);
  if (read.ok()) read = ReadBody(document.root(), response);
  if (!read.ok()) return BadAnswer(std::string(read.message()));
  return response;
}

http::Response Plain(const google::api::HttpBody& payload) {
  http::Response response;
  response.status = 200;
  response.body = payload.data();
  const std::string& type = payload.content_type();
  const std::string fallback = "application/octet-stream";
  response.headers.Set(
      "Content-Type", !type.empty() && http::IsValidHeader("Content-Type", type) ? type : fallback);
  return response;
}

}  // namespace

http::Response AnswerOf(const pb::InvokeResponse& response) {
  http::Response answer;
  if (response.has_error()) {
    answer = ErrorOf(response.error());
  } else if (auto composed = Composed(response.payload())) {
    answer = *std::move(composed);
  } else {
    answer = Plain(response.payload());
  }
  if (http::IsValidHeader(kExecutionHeader, response.execution())) {
    answer.headers.Set(kExecutionHeader, response.execution());
  }
  return answer;
}

}  // namespace penstock::gateway
