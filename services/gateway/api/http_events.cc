#include "services/gateway/api/http_events.h"

#include <fmt/format.h>
#include <io/cloudevents/v1/cloudevents.pb.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/http/url.h"
#include "libs/protojson/json_writer.h"
#include "services/gateway/api/payload_type.h"

namespace penstock::gateway {
namespace {

namespace pb = executions::v1;

constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection",        "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",    "proxy-connection"};

std::string Lower(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

void AddHeaders(const http::Headers& headers, pb::HttpRequest& message) {
  for (const http::Headers::Field field : headers) {
    std::string name = Lower(field.name);
    const bool is_hop = std::find(kHopByHop.begin(), kHopByHop.end(), name) != kHopByHop.end();
    if (is_hop || headers.HasToken("Connection", field.name)) continue;
    auto* header = message.add_headers();
    header->set_name(std::move(name));
    header->set_value(ToUtf8(field.value));
  }
}

absl::StatusOr<pb::HttpRequest> ContextOf(const http::Request& request, const RouteMatch& match) {
  pb::HttpRequest message;
  message.set_method(request.method);
  ASSIGN_OR_RETURN(const std::string path, http::PercentDecode(request.path()));
  message.set_path(ToUtf8(path));
  message.set_host(ToUtf8(request.headers.Get("Host")));
  ASSIGN_OR_RETURN(const auto query, http::ParseQuery(request.query()));
  for (const auto& [name, value] : query) {
    auto* parameter = message.add_query();
    parameter->set_name(ToUtf8(name));
    parameter->set_value(ToUtf8(value));
  }
  AddHeaders(request.headers, message);
  for (const auto& [name, value] : match.params) {
    (*message.mutable_params())[ToUtf8(name)] = ToUtf8(value);
  }
  return message;
}

void WritePairs(const google::protobuf::RepeatedPtrField<pb::NameValue>& pairs,
                protojson::JsonWriter& writer) {
  writer.BeginArray();
  for (const pb::NameValue& pair : pairs) {
    writer.BeginObject();
    writer.Key("name");
    writer.String(pair.name());
    writer.Key("value");
    writer.String(pair.value());
    writer.EndObject();
  }
  writer.EndArray();
}

// The request as the payload of an event: as InvokeRequest.http, with its body.
std::string PayloadOf(const pb::InvokeRequest& request) {
  std::string out;
  protojson::JsonWriter writer(&out);
  writer.BeginObject();
  writer.Key("method");
  writer.String(request.http().method());
  writer.Key("path");
  writer.String(request.http().path());
  writer.Key("host");
  writer.String(request.http().host());
  writer.Key("query");
  WritePairs(request.http().query(), writer);
  writer.Key("headers");
  WritePairs(request.http().headers(), writer);
  writer.Key("params");
  writer.BeginObject();
  for (const auto& [name, value] : request.http().params()) {
    writer.Key(name);
    writer.String(value);
  }
  writer.EndObject();
  const std::string& body = request.payload().data();
  const bool is_text = IsValidUtf8(body);
  writer.Key("body");
  if (is_text) {
    writer.String(body);
  } else {
    writer.Base64(body);
  }
  writer.Key("isBase64");
  writer.Bool(!is_text);
  writer.EndObject();
  return out;
}

std::string EventOf(const pb::InvokeRequest& request, std::string_view space, WallTime now) {
  io::cloudevents::v1::CloudEvent event;
  event.set_id(NewUuid());
  event.set_source(fmt::format("/spaces/{}/http", space));
  event.set_spec_version("1.0");
  event.set_type("http.request");
  auto& attributes = *event.mutable_attributes();
  attributes["datacontenttype"].set_ce_string("application/json");
  auto& time = *attributes["time"].mutable_ce_timestamp();
  time.set_seconds(ToUnixMicros(now) / 1'000'000);
  time.set_nanos(static_cast<int>(ToUnixMicros(now) % 1'000'000 * 1'000));
  event.set_binary_data(PayloadOf(request));
  return event.SerializeAsString();
}

}  // namespace

bool HttpEvents::Handle(const std::shared_ptr<HttpCall>& call) const {
  const auto table = routes_.table();
  const RouteMatch match =
      table->Match(call->request.method, call->request.headers.Get("Host"), call->request.path());
  if (match.route == nullptr) return false;
  call->set_surface(Surface::kHttpEvent);
  auto context = ContextOf(call->request, match);
  if (!context.ok()) {
    call->Fail(context.status());
    return true;
  }
  pb::InvokeRequest request;
  request.set_name(match.route->function);
  *request.mutable_http() = *std::move(context);
  request.mutable_payload()->set_content_type(ToUtf8(PayloadContentType(call->request)));
  request.mutable_payload()->set_data(std::move(call->request.body));
  if (!match.route->publish) {
    functions_.Call(call, std::move(request));
    return true;
  }
  const std::string space(SpaceInName(match.route->function));
  PublishOrder order;
  order.event = EventOf(request, space, call->env().clock.Wall());
  const auto shared = std::make_shared<pb::InvokeRequest>(std::move(request));
  order.done = [this, call, shared](const PublishResult& result) {
    if (!result.status.ok()) {
      return call->Respond(ErrorAnswer(
          503,
          absl::UnavailableError(fmt::format("the request could not be published, so its function "
                                             "did not run: {}",
                                             std::string(result.status.message())))));
    }
    functions_.Call(call, std::move(*shared));
  };
  const absl::Status taken = publisher_.Publish(call->loop(), space, std::span(&order, 1));
  if (!taken.ok()) call->Fail(taken);
  return true;
}

}  // namespace penstock::gateway
