#include "services/gateway/api/legacy_json.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/http/url.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"

namespace penstock::gateway {
namespace {

using protojson::JsonValue;
// Text members of an object, by name; an object in it has its members under "name.".
using Members = std::map<std::string, std::string, std::less<>>;

// Keeps that API's id where the resource's own differs.
constexpr char kLegacyIdKey[] = "legacy-subscription-id";

absl::Status ReadMembers(const JsonValue& object, const std::string& prefix, Members* members) {
  for (const protojson::JsonMember member : object.members()) {
    const std::string name = prefix + std::string(member.key);
    if (member.value.is_object() && prefix.empty()) {
      RETURN_IF_ERROR(ReadMembers(member.value, name + ".", members));
    } else if (member.value.is_string()) {
      (*members)[name] = member.value.text();
    } else if (!member.value.is_null()) {
      return FieldError(name, "expected a string");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Members> Parse(std::string_view json) {
  protojson::JsonDocument document;
  RETURN_IF_ERROR(document.Parse(json));
  if (!document.root().is_object()) return absl::InvalidArgumentError("expected a JSON object");
  Members members;
  RETURN_IF_ERROR(ReadMembers(document.root(), "", &members));
  return members;
}

std::string Take(Members& members, std::string_view name) {
  const auto found = members.find(name);
  return found == members.end() ? std::string() : found->second;
}

std::string LastSegment(std::string_view name) {
  return std::string(name.substr(name.rfind('/') + 1));
}

std::string_view DriverName(const functions::v1::Function& function) {
  switch (function.driver_case()) {
    case functions::v1::Function::kHttp: return "http";
    case functions::v1::Function::kProcess: return "process";
    case functions::v1::Function::kNoop: return "noop";
    case functions::v1::Function::kWeighted: return "weighted";
    default: return "unknown";
  }
}

void AppendMember(std::string_view name, std::string_view value, protojson::JsonWriter& writer) {
  writer.Key(name);
  writer.String(value);
}

}  // namespace

absl::StatusOr<LegacyFunction> ReadLegacyFunction(std::string_view json) {
  ASSIGN_OR_RETURN(Members members, Parse(json));
  LegacyFunction legacy;
  legacy.id = Take(members, "functionId");
  RETURN_IF_ERROR(CheckResourceId("functionId", legacy.id));
  const std::string type = Take(members, "provider.type");
  if (type != "http") {
    return FieldError("provider.type",
                      fmt::format("the provider \"{}\" is not supported here: expected http; other "
                                  "functions are created under /api/v1/spaces/default/functions",
                                  type.substr(0, 40)));
  }
  std::string url = Take(members, "provider.url");
  if (url.empty()) {
    return absl::InvalidArgumentError(
        "Function doesn't validate. Validation error: \"Missing required fields for HTTP "
        "endpoint.\"");
  }
  legacy.function.mutable_http()->set_url(std::move(url));
  return legacy;
}

void AppendLegacyFunction(const functions::v1::Function& function, std::string* out) {
  protojson::JsonWriter writer(out);
  writer.BeginObject();
  AppendMember("functionId", LastSegment(function.name()), writer);
  writer.Key("provider");
  writer.BeginObject();
  AppendMember("type", DriverName(function), writer);
  if (function.has_http()) AppendMember("url", function.http().url(), writer);
  writer.EndObject();
  writer.EndObject();
}

absl::StatusOr<LegacySubscription> ReadLegacySubscription(std::string_view json) {
  ASSIGN_OR_RETURN(Members members, Parse(json));
  LegacySubscription legacy;
  legacy.function = Take(members, "functionId");
  RETURN_IF_ERROR(CheckResourceId("functionId", legacy.function));
  const std::string event = Take(members, "event");
  if (event.empty()) return FieldError("event", "must not be empty");
  legacy.subscription.set_function(legacy.function);
  if (event == "http") {
    const std::string method = Take(members, "method");
    const std::string path = Take(members, "path");
    if (method.empty()) return FieldError("method", "must not be empty for the event http");
    if (path.empty()) return FieldError("path", "must not be empty for the event http");
    legacy.subscription.mutable_http()->set_method(method);
    legacy.subscription.mutable_http()->set_path(path);
    legacy.id = fmt::format("http-{}-{}", method, http::PercentEncode(path));
  } else {
    legacy.subscription.set_event_type(event);
    legacy.id = fmt::format("{}-{}", event, legacy.function);
  }
  if (SubscriptionResourceId(legacy.id) != legacy.id) {
    (*legacy.subscription.mutable_metadata())[kLegacyIdKey] = legacy.id.substr(0, 1024);
  }
  return legacy;
}

void AppendLegacySubscription(const events::v1::Subscription& subscription, std::string* out) {
  protojson::JsonWriter writer(out);
  writer.BeginObject();
  const auto id = subscription.metadata().find(kLegacyIdKey);
  AppendMember("subscriptionId",
               id != subscription.metadata().end() ? id->second : LastSegment(subscription.name()),
               writer);
  AppendMember("event", subscription.has_http() ? "http" : subscription.event_type(), writer);
  AppendMember("functionId", LastSegment(subscription.function()), writer);
  if (subscription.has_http()) {
    AppendMember("method", subscription.http().method(), writer);
    AppendMember("path", subscription.http().path(), writer);
  }
  writer.EndObject();
}

std::string SubscriptionResourceId(std::string_view legacy_id) {
  if (CheckResourceId("subscriptionId", legacy_id).ok()) return std::string(legacy_id);
  return "legacy-" + Sha256Hex(legacy_id).substr(0, 32);
}

}  // namespace penstock::gateway
