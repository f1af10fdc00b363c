#include "libs/transcode/transcoder.h"

#include <fmt/format.h>
#include <google/api/httpbody.pb.h>
#include <google/protobuf/field_mask.pb.h>

#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/protojson/codec.h"
#include "libs/transcode/percent.h"
#include "libs/transcode/query.h"
#include "libs/transcode/update_mask.h"

namespace penstock::transcode {
namespace {

using google::api::HttpBody;
using google::protobuf::DynamicCastToGenerated;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using google::protobuf::Message;
using protojson::JsonPath;

// The message that the body is, when it is taken as raw bytes; else null.
HttpBody* RawBody(const Route& route, Message* request) {
  if (route.body_is_request) return DynamicCastToGenerated<HttpBody>(request);
  const FieldDescriptor* field = route.body_field;
  if (field == nullptr || field->is_repeated() || field->message_type() != HttpBody::descriptor()) {
    return nullptr;
  }
  return DynamicCastToGenerated<HttpBody>(request->GetReflection()->MutableMessage(request, field));
}

// Reads the body by the generated code of its message. False, and nothing is read, when the message
// has none or the body is not right.
bool ReadByCodec(const Route& route, std::string_view json, Message* request) {
  if (route.body_is_request) {
    if (protojson::ParseJsonByCodec(json, request)) return true;
    request->Clear();
    return false;
  }
  const FieldDescriptor* field = route.body_field;
  if (field->is_repeated() || field->message_type() == nullptr) return false;
  const auto* reflection = request->GetReflection();
  if (protojson::ParseJsonByCodec(json, reflection->MutableMessage(request, field))) return true;
  reflection->ClearField(request, field);
  return false;
}

// Reads the body into the request. `document` holds the parsed text afterwards, if the update
// mask needs it.
absl::Status ReadBody(const Route& route, const RequestBody& body,
                      std::optional<protojson::JsonDocument>* document, Message* request) {
  if (HttpBody* raw = RawBody(route, request)) {
    raw->set_content_type(std::string(body.content_type));
    raw->set_data(std::string(body.data));
    return absl::OkStatus();
  }
  if (body.data.empty()) return absl::OkStatus();
  if (!route.body_is_request && route.body_field == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("{} {} takes no request body", route.http_method, route.path_template));
  }
  if (UpdateMaskField(route) == nullptr && ReadByCodec(route, body.data, request)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(document->emplace().Parse(body.data));
  const JsonPath root;
  const protojson::JsonValue value = (*document)->root();
  if (route.body_is_request) return protojson::ReadMessage(value, root, request);
  return protojson::ReadField(value, root, route.body_field, request);
}

// The message that holds the last field of a path, made where it is missing.
Message* ParentOf(const FieldPath& path, Message* request) {
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    request = request->GetReflection()->MutableMessage(request, path[i]);
  }
  return request;
}

absl::Status SetVariable(const Variable& variable, std::string_view text, Message* request) {
  const JsonPath path(variable.name);
  std::string value;
  const PercentRule rule = variable.single_segment ? PercentRule::kSegment : PercentRule::kSegments;
  if (!PercentDecode(text, rule, &value)) {
    return path.Error("expected valid percent-encoding in the path");
  }
  const FieldDescriptor* field = variable.field.back();
  Message* parent = ParentOf(variable.field, request);
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    const std::string given = parent->GetReflection()->GetString(*parent, field);
    if (!given.empty() && field->type() == FieldDescriptor::TYPE_STRING && given != value) {
      return path.Error(
          fmt::format("is \"{}\" in the body: expected \"{}\", as in the path", given, value));
    }
  }
  return protojson::SetFieldFromText(value, path, field, parent);
}

absl::Status SetUpdateMask(const Route& route, const protojson::JsonDocument& document,
                           Message* request) {
  const FieldDescriptor* field = UpdateMaskField(route);
  if (field == nullptr) return absl::OkStatus();
  auto* mask =
      DynamicCastToGenerated<FieldMask>(request->GetReflection()->MutableMessage(request, field));
  if (mask != nullptr && mask->paths().empty()) FillUpdateMask(route, document.root(), mask);
  return absl::OkStatus();
}

ResponseBody RawResponse(const HttpBody& body) {
  return {.content_type =
              body.content_type().empty() ? "application/octet-stream" : body.content_type(),
          .data = body.data()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Message>> BuildRequest(const Route& route,
                                                      const PathBindings& bindings,
                                                      std::string_view query,
                                                      const RequestBody& body) {
  if (bindings.size() != route.variables.size()) {
    return absl::InternalError("bindings of another route than " + route.path_template);
  }
  std::unique_ptr<Message> request(route.request_prototype->New());
  std::optional<protojson::JsonDocument> document;
  RETURN_IF_ERROR(ReadBody(route, body, &document, request.get()));
  RETURN_IF_ERROR(ReadQuery(route, query, request.get()));
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    RETURN_IF_ERROR(SetVariable(route.variables[i], bindings[i], request.get()));
  }
  if (document) RETURN_IF_ERROR(SetUpdateMask(route, *document, request.get()));
  return request;
}

absl::StatusOr<ResponseBody> BuildResponse(const Route& route, const Message& message,
                                           const protojson::PrintOptions& options) {
  if (const auto* raw = DynamicCastToGenerated<HttpBody>(&message)) return RawResponse(*raw);
  ResponseBody body{.content_type = "application/json", .data = {}};
  const FieldDescriptor* field = route.response_body_field;
  if (field == nullptr) {
    RETURN_IF_ERROR(protojson::AppendJson(message, &body.data, options));
    return body;
  }
  if (!field->is_repeated() && field->message_type() == HttpBody::descriptor()) {
    const Message& value = message.GetReflection()->GetMessage(message, field);
    if (const auto* raw = DynamicCastToGenerated<HttpBody>(&value)) return RawResponse(*raw);
  }
  ASSIGN_OR_RETURN(body.data, protojson::PrintJsonField(message, field, options));
  return body;
}

}  // namespace penstock::transcode
