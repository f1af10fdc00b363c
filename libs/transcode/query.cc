#include "libs/transcode/query.h"

#include <set>
#include <string>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/protojson/protojson.h"
#include "libs/transcode/percent.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using protojson::JsonPath;

// What the name of a parameter stands for.
struct Target {
  FieldPath fields;
  // The key, where the last field is a map.
  std::string_view map_key;
};

absl::Status ResolveMapKey(std::string_view rest, const JsonPath& path, Target* target) {
  const bool brackets = rest.starts_with('[') && rest.ends_with(']');
  if (!brackets && !rest.starts_with('.')) {
    return path.Error("is a map: expected name.key=value or name[key]=value");
  }
  target->map_key = brackets ? rest.substr(1, rest.size() - 2) : rest.substr(1);
  return absl::OkStatus();
}

absl::Status Resolve(const Descriptor* type, std::string_view name, const JsonPath& path,
                     Target* target) {
  for (std::string_view rest = name;;) {
    const std::size_t size = rest.find_first_of(".[");
    const FieldDescriptor* field =
        type == nullptr ? nullptr : protojson::FindField(type, rest.substr(0, size));
    if (field == nullptr || target->fields.size() == kMaxFieldDepth) {
      return path.Error("unknown query parameter");
    }
    target->fields.push_back(field);
    rest.remove_prefix(std::min(size, rest.size()));
    if (field->is_map()) return ResolveMapKey(rest, path, target);
    if (rest.empty()) return absl::OkStatus();
    const bool descends = rest.starts_with('.') && !field->is_repeated() &&
                          field->message_type() != nullptr &&
                          protojson::HasPlainForm(field->message_type());
    if (!descends) return path.Error("unknown query parameter");
    type = field->message_type();
    rest.remove_prefix(1);
  }
}

// Fields that have their place elsewhere cannot come in the query.
absl::Status CheckPlace(const Route& route, const Target& target, const JsonPath& path) {
  if (route.body_is_request) {
    return path.Error("unknown query parameter: this call takes its fields in the body");
  }
  if (target.fields.front() == route.body_field) return path.Error("belongs in the body");
  for (const Variable& variable : route.variables) {
    if (variable.field == target.fields) return path.Error("is set by the path already");
  }
  return absl::OkStatus();
}

// The parameter's name as it is, whichever of its spellings was used.
std::string CanonicalName(const Target& target) {
  std::string name;
  for (const FieldDescriptor* field : target.fields) name += field->name() + ".";
  name += target.map_key;
  return name;
}

absl::Status Apply(const Target& target, std::string_view value, const JsonPath& path,
                   Message* message) {
  const FieldDescriptor* last = target.fields.back();
  for (std::size_t i = 0; i < target.fields.size(); ++i) {
    RETURN_IF_ERROR(protojson::CheckOneof(*message, target.fields[i], path));
    if (i + 1 == target.fields.size()) break;
    message = message->GetReflection()->MutableMessage(message, target.fields[i]);
  }
  if (last->is_map()) {
    return protojson::SetMapEntryFromText(target.map_key, value, path, last, message);
  }
  return protojson::SetFieldFromText(value, path, last, message);
}

absl::Status ReadParameter(const Route& route, std::string_view parameter,
                           std::set<std::string>* seen, Message* request) {
  const std::size_t equals = parameter.find('=');
  std::string name, value;
  if (!PercentDecode(parameter.substr(0, equals), PercentRule::kQuery, &name) ||
      !IsValidUtf8(name)) {
    return absl::InvalidArgumentError(
        "the name of a query parameter is not valid percent-encoded UTF-8");
  }
  const JsonPath path(name);  // as the user wrote it, dots included
  if (equals != std::string_view::npos &&
      !PercentDecode(parameter.substr(equals + 1), PercentRule::kQuery, &value)) {
    return path.Error("expected valid percent-encoding");
  }
  Target target;
  RETURN_IF_ERROR(Resolve(request->GetDescriptor(), name, path, &target));
  RETURN_IF_ERROR(CheckPlace(route, target, path));
  const FieldDescriptor* last = target.fields.back();
  const bool may_repeat = last->is_repeated() && !last->is_map();
  if (!may_repeat && !seen->insert(CanonicalName(target)).second) {
    return path.Error("is given twice");
  }
  return Apply(target, value, path, request);
}

}  // namespace

absl::Status ReadQuery(const Route& route, std::string_view query, Message* request) {
  std::set<std::string> seen;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (parameter.empty()) continue;
    RETURN_IF_ERROR(ReadParameter(route, parameter, &seen, request));
  }
  return absl::OkStatus();
}

}  // namespace penstock::transcode
