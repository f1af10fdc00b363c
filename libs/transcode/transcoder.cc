#include "libs/transcode/transcoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/protojson/codec.h"
#include "libs/transcode/by_code.h"
#include "libs/transcode/http_body.h"
#include "libs/transcode/percent.h"
#include "libs/transcode/query.h"
#include "libs/transcode/update_mask.h"

namespace penstock::transcode {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using protojson::JsonPath;

// How much of a raw body one message of a stream takes.
constexpr std::size_t kRawPieceBytes = 64 * 1024;

// The message that the body is, when it is taken as raw bytes.
Message* RawBody(const Route& route, Message* request) {
  if (route.body_is_request) return request;
  return request->GetReflection()->MutableMessage(request, route.body_field);
}

// Whether generated code is tried, or reflection alone.
enum class Use { kCode, kReflection };

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

absl::Status CheckHasBody(const Route& route) {
  if (route.body_is_request || route.body_field != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} {} takes no request body", route.http_method, route.path_template));
}

// Reads the JSON body, which errors call `name`, into the request. `document` holds the parsed text
// afterwards.
absl::Status ReadJson(const Route& route, std::string_view json, std::string_view name,
                      protojson::JsonDocument* document, Message* request) {
  const JsonPath root(name);
  if (const absl::Status status = document->Parse(json); !status.ok()) {
    return name.empty() ? status : root.Error({status.message().data(), status.message().size()});
  }
  const protojson::JsonValue value = document->root();
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
  RETURN_IF_ERROR(protojson::CheckOneof(*parent, field, path));
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    const std::string given = parent->GetReflection()->GetString(*parent, field);
    if (!given.empty() && field->type() == FieldDescriptor::TYPE_STRING && given != value) {
      return path.Error(
          fmt::format("is \"{}\" in the body: expected \"{}\", as in the path", given, value));
    }
  }
  return protojson::SetFieldFromText(value, path, field, parent);
}

ResponseBody RawResponse(const Message& body) {
  ResponseBody response{.content_type = ContentTypeOf(body), .data = DataOf(body)};
  if (response.content_type.empty()) response.content_type = "application/octet-stream";
  return response;
}

// What one request message is made of. Bindings and query have their places in the first message of
// a stream only.
struct Parts {
  const PathBindings* bindings = nullptr;  // null: none
  std::string_view query;
  RequestBody body;
  std::string_view body_name;  // what errors call it
};

absl::StatusOr<std::unique_ptr<Message>> BuildByDescriptors(const Route& route, const Parts& parts,
                                                            Use use) {
  std::unique_ptr<Message> request(route.request_prototype->New());
  const std::string_view json = route.body_is_raw ? std::string_view() : parts.body.data;
  std::optional<protojson::JsonDocument> document;
  if (route.body_is_raw) {
    SetHttpBody(parts.body.content_type, parts.body.data, RawBody(route, request.get()));
  } else if (!json.empty()) {
    RETURN_IF_ERROR(CheckHasBody(route));
    if (use == Use::kReflection || !ReadByCodec(route, json, request.get())) {
      RETURN_IF_ERROR(ReadJson(route, json, parts.body_name, &document.emplace(), request.get()));
    }
  }
  if (parts.bindings == nullptr) return request;
  RETURN_IF_ERROR(ReadQuery(route, parts.query, request.get()));
  for (std::size_t i = 0; i < parts.bindings->size(); ++i) {
    RETURN_IF_ERROR(SetVariable(route.variables[i], (*parts.bindings)[i], request.get()));
  }
  if (document) {
    FillUpdateMask(route, document->root(), request.get());
  } else if (!json.empty() && !FillUpdateMask(route, json, request.get())) {
    // The reader refuses rare texts that the codec never saw, such as those of hooks.
    RETURN_IF_ERROR(document.emplace().Parse(json));
    FillUpdateMask(route, document->root(), request.get());
  }
  return request;
}

absl::StatusOr<std::unique_ptr<Message>> BuildMessage(const Route& route, const Parts& parts) {
  if (route.code == nullptr) return BuildByDescriptors(route, parts, Use::kCode);
  if (parts.bindings != nullptr) {
    if (auto request = BuildByCode(route, *parts.bindings, parts.query, parts.body)) return request;
  }
  return BuildByDescriptors(route, parts, Use::kReflection);
}

absl::Status CheckBindings(const Route& route, const PathBindings& bindings) {
  if (bindings.size() == route.variables.size()) return absl::OkStatus();
  return absl::InternalError("bindings of another route than " + route.path_template);
}

// The next piece of a body whose pieces are messages of a stream; removes it from `rest`.
std::string_view NextPiece(const Route& route, std::string_view* rest) {
  const std::size_t end =
      route.body_is_raw ? kRawPieceBytes : std::min(rest->find('\n'), rest->size());
  const std::string_view piece = rest->substr(0, end);
  rest->remove_prefix(std::min(route.body_is_raw ? end : end + 1, rest->size()));
  return piece;
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

}  // namespace

absl::StatusOr<std::unique_ptr<Message>> BuildByReflection(const Route& route,
                                                           const PathBindings& bindings,
                                                           std::string_view query,
                                                           const RequestBody& body) {
  RETURN_IF_ERROR(CheckBindings(route, bindings));
  return BuildByDescriptors(route, {&bindings, query, body, {}}, Use::kReflection);
}

absl::StatusOr<std::unique_ptr<Message>> BuildRequest(const Route& route,
                                                      const PathBindings& bindings,
                                                      std::string_view query,
                                                      const RequestBody& body) {
  RETURN_IF_ERROR(CheckBindings(route, bindings));
  return BuildMessage(route, {&bindings, query, body, {}});
}

absl::StatusOr<std::vector<std::unique_ptr<Message>>> BuildRequests(const Route& route,
                                                                    const PathBindings& bindings,
                                                                    std::string_view query,
                                                                    const RequestBody& body) {
  RETURN_IF_ERROR(CheckBindings(route, bindings));
  std::vector<std::unique_ptr<Message>> messages;
  for (std::string_view rest = body.data; !rest.empty();) {
    const std::string_view piece = NextPiece(route, &rest);
    if (!route.body_is_raw && IsBlank(piece)) continue;
    const std::string name = fmt::format("messages[{}]", messages.size());
    Parts parts{.body = {body.content_type, piece}, .body_name = name};
    if (messages.empty()) {
      parts.bindings = &bindings;
      parts.query = query;
    }
    ASSIGN_OR_RETURN(messages.emplace_back(), BuildMessage(route, parts));
  }
  // What path and query say is worth a message, too.
  if (messages.empty() && (!bindings.empty() || !query.empty() || route.body_is_raw)) {
    ASSIGN_OR_RETURN(messages.emplace_back(),
                     BuildMessage(route, {&bindings, query, {body.content_type, {}}, {}}));
  }
  return messages;
}

absl::StatusOr<ResponseBody> BuildResponse(const Route& route, const Message& message,
                                           const protojson::PrintOptions& options) {
  const FieldDescriptor* field = route.response_body_field;
  if (route.response_is_raw) {
    return RawResponse(field == nullptr ? message
                                        : message.GetReflection()->GetMessage(message, field));
  }
  ResponseBody body{.content_type = "application/json", .data = {}};
  if (WriteByCode(route, message, options, &body.data)) return body;
  if (field == nullptr) {
    RETURN_IF_ERROR(protojson::AppendJson(message, &body.data, options));
  } else {
    ASSIGN_OR_RETURN(body.data, protojson::PrintJsonField(message, field, options));
  }
  return body;
}

}  // namespace penstock::transcode
