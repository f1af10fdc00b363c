#include "services/function-executor/drivers/http/http_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "libs/protojson/json_writer.h"
#include "services/function-executor/domain/metric_text.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kQuotedBytesMax = 500;
constexpr char kMetricsHeader[] = "penstock-metrics";
constexpr Microseconds kRetryAfterMax{86'400'000'000};

// Fields that say nothing to who sent an HTTP event: about the connection, or about the function's
// server, or for the executor.
constexpr std::array<std::string_view, 12> kNotPassedOn = {"connection",
                                                           "content-length",
                                                           "date",
                                                           "keep-alive",
                                                           "proxy-connection",
                                                           "server",
                                                           "te",
                                                           "trailer",
                                                           "upgrade",
                                                           "transfer-encoding",
                                                           "content-type",
                                                           "penstock-metrics"};

bool IsPassedOn(std::string_view name) {
  return std::none_of(kNotPassedOn.begin(), kNotPassedOn.end(),
                      [&](std::string_view other) { return http::EqualsIgnoreCase(name, other); });
}

std::string Quote(std::string_view body) {
  std::string text = ToUtf8(body.substr(0, kQuotedBytesMax));
  if (body.size() > kQuotedBytesMax) text += "…";
  return text;
}

FunctionError HttpStatusError(int status, std::string_view body) {
  const bool is_input = status == 400 || status == 422;
  std::string message = fmt::format("the function answered with HTTP status {}", status);
  if (!body.empty()) message += ": " + Quote(body);
  return {is_input ? ErrorCategory::kInput : ErrorCategory::kFunction,
          "HttpStatus",
          std::move(message),
          {}};
}

// {"statusCode", "headers", "body", "isBase64"}: the form in which a function's answer carries more
// than a body. Fields that repeat become a list.
std::string WrapAnswer(const http::ClientResponse& response) {
  std::string json;
  protojson::JsonWriter writer(&json);
  writer.BeginObject();
  writer.Key("statusCode");
  writer.Int(response.status);
  writer.Key("headers");
  writer.BeginObject();
  std::vector<std::string> seen;
  for (const auto field : response.headers) {
    if (!IsPassedOn(field.name) && !http::EqualsIgnoreCase(field.name, "content-type")) continue;
    if (std::any_of(seen.begin(), seen.end(), [&](const std::string& name) {
          return http::EqualsIgnoreCase(name, field.name);
        })) {
      continue;
    }
    seen.emplace_back(field.name);
    writer.Key(field.name);
    const auto values = response.headers.GetAll(field.name);
    if (values.size() == 1) {
      writer.String(values.front());
      continue;
    }
    writer.BeginArray();
    for (const std::string_view value : values) writer.String(value);
    writer.EndArray();
  }
  writer.EndObject();
  writer.Key("body");
  const bool is_text = IsValidUtf8(response.body);
  is_text ? writer.String(response.body) : writer.Base64(response.body);
  writer.Key("isBase64");
  writer.Bool(!is_text);
  writer.EndObject();
  return json;
}

// Whether there is more to pass on than a body and its type.
bool HasOtherFields(const http::Headers& headers) {
  for (const auto field : headers) {
    if (IsPassedOn(field.name)) return true;
  }
  return false;
}

void FillHttpEventAnswer(http::ClientResponse response, Outcome* outcome) {
  if (response.status == 200 && !HasOtherFields(response.headers)) {
    outcome->content_type = std::string(response.headers.Get("content-type"));
    outcome->payload = std::make_shared<const std::string>(std::move(response.body));
    return;
  }
  outcome->content_type = "application/json";
  outcome->payload = std::make_shared<const std::string>(WrapAnswer(response));
}

// An event in binary mode, in the structured form, which needs no headers.
std::optional<std::string> BinaryEventAsJson(const http::ClientResponse& response) {
  if (!response.headers.Has("ce-specversion")) return std::nullopt;
  std::vector<cloudevents::HeaderView> headers;
  for (const auto field : response.headers) headers.emplace_back(field.name, field.value);
  const auto event = cloudevents::FromHttpBinary(headers, response.body);
  if (!event.ok()) return std::nullopt;
  auto json = cloudevents::ToJson(*event);
  return json.ok() ? std::optional(*std::move(json)) : std::nullopt;
}

struct Failure {
  std::string_view reason;
  const char* type;
};
constexpr std::array<Failure, 12> kFailures = {{{http::kConnectFailed, "ConnectFailed"},
                                                {http::kConnectTimeout, "ConnectFailed"},
                                                {http::kDnsFailed, "ConnectFailed"},
                                                {http::kTlsFailed, "ConnectFailed"},
                                                {http::kEgressDenied, "EgressDenied"},
                                                {http::kQueueFull, "Busy"},
                                                {http::kQueueTimeout, "Busy"},
                                                {http::kConnectionLost, "ConnectionLost"},
                                                {http::kResponseTimeout, "Timeout"},
                                                {http::kResponseTooLarge, "ResponseTooLarge"},
                                                {http::kResponseMalformed, "InvalidAnswer"},
                                                {http::kCanceled, "Cancelled"}}};

}  // namespace

std::optional<Microseconds> ParseRetryAfter(std::string_view value, WallTime now) {
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  if (value.empty()) return std::nullopt;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (std::all_of(value.begin(), value.end(), is_digit)) {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc()) return kRetryAfterMax;  // More than 64 bits hold.
    return std::min(Microseconds(std::min<std::int64_t>(seconds, 86'400) * 1'000'000),
                    kRetryAfterMax);
  }
  // RFC 9110, section 5.6.7: IMF-fixdate is the form to send, the two others are to be read too.
  for (const char* const form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    absl::Time date;
    if (!absl::ParseTime(form, absl::string_view(value.data(), value.size()), absl::UTCTimeZone(),
                         &date, nullptr)) {
      continue;
    }
    const Microseconds wait(absl::ToUnixMicros(date) - ToUnixMicros(now));
    return std::clamp(wait, Microseconds(0), kRetryAfterMax);
  }
  return std::nullopt;
}

Outcome ReadHttpAnswer(http::ClientResponse response, TriggerKind trigger, WallTime now) {
  Outcome outcome;
  outcome.http_status = response.status;
  outcome.retry_after = ParseRetryAfter(response.headers.Get("retry-after"), now);
  if (const auto metrics = response.headers.Find(kMetricsHeader)) {
    outcome.metrics = ParseMetrics(*metrics);
  }
  const bool is_http_event = trigger == TriggerKind::kHttp;
  // Who sent an HTTP event gets what the function says, a refusal or a redirection too. All others
  // expect a result, and a status other than 2xx is none.
  const bool is_answer =
      is_http_event ? response.status < 500 : response.status >= 200 && response.status < 300;
  if (!is_answer) outcome.error = HttpStatusError(response.status, response.body);
  if (is_http_event && is_answer) {
    FillHttpEventAnswer(std::move(response), &outcome);
    return outcome;
  }
  if (trigger == TriggerKind::kEvent && is_answer) {
    if (auto event = BinaryEventAsJson(response)) {
      outcome.content_type = cloudevents::kJsonType;
      outcome.payload = std::make_shared<const std::string>(*std::move(event));
      return outcome;
    }
  }
  outcome.content_type = std::string(response.headers.Get("content-type"));
  outcome.payload = std::make_shared<const std::string>(std::move(response.body));
  return outcome;
}

Outcome ReadHttpFailure(const absl::Status& status) {
  Outcome outcome;
  outcome.payload = std::make_shared<const std::string>();
  const std::string reason = ReasonOf(status);
  const auto known = std::find_if(kFailures.begin(), kFailures.end(),
                                  [&](const Failure& failure) { return failure.reason == reason; });
  const char* const type = known != kFailures.end() ? known->type : "InvalidRequest";
  outcome.timed_out = reason == http::kResponseTimeout || reason == http::kQueueTimeout;
  outcome.error = FunctionError{ErrorCategory::kSystem, type, std::string(status.message()), {}};
  return outcome;
}

}  // namespace penstock::executor
