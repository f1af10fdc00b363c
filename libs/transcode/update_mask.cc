#include "libs/transcode/update_mask.h"

#include <algorithm>
#include <string>

#include "libs/protojson/protojson.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using protojson::JsonValue;

bool IsBound(const Route& route, const FieldPath& path) {
  return std::any_of(route.variables.begin(), route.variables.end(),
                     [&](const Variable& variable) { return variable.field == path; });
}

}  // namespace

const FieldDescriptor* UpdateMaskField(const Route& route) {
  if (route.http_method != "PATCH" || route.body_field == nullptr ||
      route.body_field->is_repeated() || route.body_field->message_type() == nullptr) {
    return nullptr;
  }
  const FieldDescriptor* field = route.method->input_type()->FindFieldByName("update_mask");
  const bool is_mask =
      field != nullptr && !field->is_repeated() && field->message_type() != nullptr &&
      field->message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_FIELDMASK;
  return is_mask ? field : nullptr;
}

void FillUpdateMask(const Route& route, const JsonValue& body, Message* mask) {
  const FieldDescriptor* paths = mask->GetDescriptor()->FindFieldByName("paths");
  const Descriptor* type = route.body_field->message_type();
  if (!body.is_object() || !protojson::HasPlainForm(type)) return;
  for (const auto& [name, value] : body.members()) {
    const FieldDescriptor* field = protojson::FindField(type, name);
    if (field != nullptr && !IsBound(route, {route.body_field, field})) {
      mask->GetReflection()->AddString(mask, paths, field->name());
    }
  }
}

}  // namespace penstock::transcode
