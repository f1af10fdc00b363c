#include "libs/transcode/update_mask.h"

#include <algorithm>
#include <string>

#include "libs/protojson/protojson.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldMask;
using protojson::JsonValue;

bool IsBound(const Route& route, const FieldPath& path) {
  return std::any_of(route.variables.begin(), route.variables.end(),
                     [&](const Variable& variable) { return variable.field == path; });
}

void Fill(const Route& route, const JsonValue& object, const Descriptor* type,
          const std::string& prefix, FieldPath& path, FieldMask* mask) {
  for (const auto& [name, value] : object.members()) {
    const FieldDescriptor* field = protojson::FindField(type, name);
    if (field == nullptr) continue;
    path.push_back(field);
    if (!IsBound(route, path)) {
      const bool nested = !field->is_repeated() && field->message_type() != nullptr &&
                          protojson::HasPlainForm(field->message_type()) && value.size() > 0;
      if (nested) {
        Fill(route, value, field->message_type(), prefix + field->name() + ".", path, mask);
      } else {
        mask->add_paths(prefix + field->name());
      }
    }
    path.pop_back();
  }
}

}  // namespace

const FieldDescriptor* UpdateMaskField(const Route& route) {
  if (route.http_method != "PATCH" || route.body_field == nullptr ||
      route.body_field->is_repeated() || route.body_field->message_type() == nullptr) {
    return nullptr;
  }
  const FieldDescriptor* field = route.method->input_type()->FindFieldByName("update_mask");
  const bool is_mask =
      field != nullptr && !field->is_repeated() && field->message_type() == FieldMask::descriptor();
  return is_mask ? field : nullptr;
}

void FillUpdateMask(const Route& route, const JsonValue& body, FieldMask* mask) {
  const Descriptor* type = route.body_field->message_type();
  if (!body.is_object() || !protojson::HasPlainForm(type)) return;
  FieldPath path{route.body_field};
  Fill(route, body, type, "", path, mask);
}

}  // namespace penstock::transcode
