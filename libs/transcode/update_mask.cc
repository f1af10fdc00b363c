#include "libs/transcode/update_mask.h"

#include <algorithm>
#include <string>

#include "libs/protojson/json_reader.h"
#include "libs/protojson/type_info.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using protojson::JsonValue;

// Adds paths to a request's mask, if it is to be filled at all.
class MaskFiller {
 public:
  MaskFiller(const Route& route, Message* request) : route_(route) {
    if (route.update_mask_field == nullptr) return;
    type_ = &protojson::InfoOf(route.body_field->message_type());
    if (type_->HasOwnForm()) return;
    Message* mask = request->GetReflection()->MutableMessage(request, route.update_mask_field);
    if (mask->ByteSizeLong() != 0) return;
    mask_ = mask;
    paths_ = mask->GetDescriptor()->FindFieldByName("paths");
  }

  bool wanted() const { return mask_ != nullptr; }

  void Add(std::string_view name) {
    const protojson::FieldInfo* field = type_->Find(name);
    if (field == nullptr || IsBound(field->descriptor)) return;
    mask_->GetReflection()->AddString(mask_, paths_, field->descriptor->name());
  }

 private:
  bool IsBound(const FieldDescriptor* field) const {
    return std::any_of(
        route_.variables.begin(), route_.variables.end(), [&](const Variable& variable) {
          const FieldPath& path = variable.field;
          return path.size() == 2 && path[0] == route_.body_field && path[1] == field;
        });
  }

  const Route& route_;
  const protojson::TypeInfo* type_ = nullptr;  // of the body
  Message* mask_ = nullptr;                    // null: nothing is to be filled
  const FieldDescriptor* paths_ = nullptr;
};

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

void FillUpdateMask(const Route& route, const JsonValue& body, Message* request) {
  MaskFiller filler(route, request);
  if (!filler.wanted() || !body.is_object()) return;
  for (const auto& [name, value] : body.members()) filler.Add(name);
}

bool FillUpdateMask(const Route& route, std::string_view body, Message* request) {
  MaskFiller filler(route, request);
  if (!filler.wanted()) return true;
  protojson::JsonReader in(body);
  if (!in.BeginObject()) return false;
  for (std::string_view name; in.NextKey(&name);) {
    filler.Add(name);
    if (!in.Skip()) return false;
  }
  return !in.failed();
}

}  // namespace penstock::transcode
