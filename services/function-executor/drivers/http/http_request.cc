#include "services/function-executor/drivers/http/http_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "libs/http/url.h"
#include "services/function-executor/drivers/process/request_line.h"

namespace penstock::executor {
namespace {

// Never passed on: they belong to one connection, or the client sets them itself. In lower case.
constexpr std::array<std::string_view, 14> kNotForwarded = {"connection",
                                                            "content-length",
                                                            "content-type",
                                                            "expect",
                                                            "host",
                                                            "keep-alive",
                                                            "proxy-authenticate",
                                                            "proxy-authorization",
                                                            "proxy-connection",
                                                            "te",
                                                            "trailer",
                                                            "transfer-encoding",
                                                            "upgrade",
                                                            "http2-settings"};

bool IsForwarded(std::string_view name) {
  // Penstock's own headers must not be forged by who sends an HTTP event.
  constexpr std::string_view kOwn = "penstock-";
  if (name.size() >= kOwn.size() && http::EqualsIgnoreCase(name.substr(0, kOwn.size()), kOwn)) {
    return false;
  }
  return std::none_of(kNotForwarded.begin(), kNotForwarded.end(),
                      [&](std::string_view other) { return http::EqualsIgnoreCase(name, other); });
}

void SetContentType(const std::string& type, http::ClientRequest* request) {
  if (!type.empty()) request->headers.Set("Content-Type", type);
}

void AddBinaryEvent(const EventAttributes& event, http::ClientRequest* request) {
  const auto add = [&](std::string_view name, std::string_view value) {
    request->headers.Set(fmt::format("ce-{}", name), cloudevents::EncodeHeaderValue(value));
  };
  add("specversion", event.spec_version);
  add("id", event.id);
  add("source", event.source);
  add("type", event.type);
  for (const auto& [name, value] : event.others) {
    if (name != "datacontenttype") add(name, value);
  }
}

absl::Status SetStructuredEvent(const Invocation& invocation, http::ClientRequest* request) {
  const EventAttributes& attributes = *invocation.event;
  cloudevents::CloudEvent event;
  event.set_id(attributes.id);
  event.set_source(attributes.source);
  event.set_type(attributes.type);
  event.set_spec_version(attributes.spec_version);
  for (const auto& [name, value] : attributes.others) {
    RETURN_IF_ERROR(cloudevents::SetAttributeFromText(name, value, &event));
  }
  if (!invocation.content_type.empty()) {
    RETURN_IF_ERROR(
        cloudevents::SetAttributeFromText("datacontenttype", invocation.content_type, &event));
  }
  if (!invocation.payload->empty()) event.set_binary_data(*invocation.payload);
  ASSIGN_OR_RETURN(std::string json, cloudevents::ToJson(event));
  request->body = std::make_shared<const std::string>(std::move(json));
  request->headers.Set("Content-Type", "application/cloudevents+json; charset=utf-8");
  return absl::OkStatus();
}

absl::Status SetContext(const Invocation& invocation, http::ClientRequest* request) {
  RequestLine line = WriteRequestLine(invocation);
  if (line.error) return absl::InvalidArgumentError(line.error->message);
  request->body = std::make_shared<const std::string>(std::move(line.text));
  request->headers.Set("Content-Type", "application/json");
  return absl::OkStatus();
}

// The path as it may stand in a header: decoded, it may hold any byte.
std::string EncodePath(std::string_view path) {
  std::string encoded;
  while (true) {
    const std::size_t slash = path.find('/');
    encoded += http::PercentEncode(path.substr(0, slash));
    if (slash == std::string_view::npos) return encoded;
    encoded += '/';
    path.remove_prefix(slash + 1);
  }
}

void SetForwarded(const Invocation& invocation, http::ClientRequest* request) {
  const HttpRequestContext& context = *invocation.http;
  request->method = context.method;
  for (const auto& [name, value] : context.headers) {
    if (IsForwarded(name) && http::IsValidHeader(name, value)) request->headers.Add(name, value);
  }
  SetContentType(invocation.content_type, request);
  if (!context.query.empty()) {
    const bool has_query = request->url.find('?') != std::string::npos;
    request->url += has_query ? '&' : '?';
    request->url += http::EncodeQuery(context.query);
  }
  request->headers.Set("Penstock-Http-Path", EncodePath(context.path));
  if (invocation.payload->empty()) request->body = nullptr;
}

void AddOwnHeaders(const Invocation& invocation, http::ClientRequest* request) {
  http::Headers& headers = request->headers;
  headers.Set("Penstock-Execution-Id", invocation.execution_id);
  headers.Set("Penstock-Function", invocation.function->id);
  if (!invocation.delivery_id.empty()) {
    headers.Set("Penstock-Delivery-Id", invocation.delivery_id);
    headers.Set("Penstock-Attempt", std::to_string(invocation.attempt));
  }
  if (invocation.replay) headers.Set("Penstock-Replay", "true");
  if (invocation.batch)
    headers.Set("Penstock-Batch-Size", std::to_string(invocation.batch->size()));
  // Knative's data plane contract: who reads an answer as an event says so.
  if (invocation.trigger == TriggerKind::kEvent) headers.Set("Prefer", "reply");
  if (!invocation.traceparent.empty()) headers.Set("traceparent", invocation.traceparent);
}

// The data of each event, in the form that a process function would read it in.
void SetRawBatch(const Batch& batch, http::ClientRequest* request) {
  request->body = std::make_shared<const std::string>(WritePayloadList(batch));
  request->headers.Set("Content-Type", "application/json");
}

absl::Status SetMessage(const Invocation& invocation, HttpFormat format,
                        http::ClientRequest* request) {
  if (format == HttpFormat::kContext && invocation.trigger != TriggerKind::kCall) {
    return SetContext(invocation, request);
  }
  if (invocation.batch) {
    // The payload is the batch in the CloudEvents JSON format already.
    SetContentType(invocation.content_type, request);
    if (format == HttpFormat::kRaw) SetRawBatch(*invocation.batch, request);
    return absl::OkStatus();
  }
  if (invocation.trigger == TriggerKind::kHttp && invocation.http) {
    SetForwarded(invocation, request);
    return absl::OkStatus();
  }
  if (invocation.event && format == HttpFormat::kStructured) {
    return SetStructuredEvent(invocation, request);
  }
  SetContentType(invocation.content_type, request);
  if (invocation.event && format == HttpFormat::kBinary) AddBinaryEvent(*invocation.event, request);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<http::ClientRequest> MakeHttpRequest(const Invocation& invocation) {
  const HttpTarget& target = std::get<HttpTarget>(invocation.function->target);
  http::ClientRequest request;
  request.method = "POST";
  // A fragment is never sent, and a query would otherwise be appended behind it.
  request.url = target.url.substr(0, target.url.find('#'));
  request.body = invocation.payload;
  RETURN_IF_ERROR(SetMessage(invocation, target.format, &request));
  AddOwnHeaders(invocation, &request);
  for (const auto& [name, value] : target.headers) request.headers.Set(name, value);
  if (!request.headers.Has("User-Agent")) request.headers.Set("User-Agent", "Penstock");
  return request;
}

}  // namespace penstock::executor
