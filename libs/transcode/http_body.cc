#include "libs/transcode/http_body.h"

namespace penstock::transcode {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kContentType = 1;
constexpr int kData = 2;

const FieldDescriptor* StringField(const Message& message, int number) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByNumber(number);
  const bool is_string = field != nullptr && !field->is_repeated() &&
                         field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return is_string ? field : nullptr;
}

void Set(int number, std::string_view text, Message* message) {
  if (const FieldDescriptor* field = StringField(*message, number)) {
    message->GetReflection()->SetString(message, field, std::string(text));
  }
}

std::string Get(const Message& message, int number) {
  const FieldDescriptor* field = StringField(message, number);
  return field == nullptr ? std::string() : message.GetReflection()->GetString(message, field);
}

}  // namespace

bool IsHttpBody(const Descriptor* type) {
  return type != nullptr && type->full_name() == "google.api.HttpBody";
}

void SetHttpBody(std::string_view content_type, std::string_view data, Message* message) {
  Set(kContentType, content_type, message);
  Set(kData, data, message);
}

std::string ContentTypeOf(const Message& message) { return Get(message, kContentType); }
std::string DataOf(const Message& message) { return Get(message, kData); }

}  // namespace penstock::transcode
