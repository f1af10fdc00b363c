#include "libs/protojson/any_type.h"

#include <google/protobuf/descriptor.h>

namespace penstock::protojson {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

constexpr int kTypeUrl = 1;
constexpr int kValue = 2;

std::string Get(const Message& any, int number) {
  const FieldDescriptor* field = any.GetDescriptor()->FindFieldByNumber(number);
  return field == nullptr ? std::string() : any.GetReflection()->GetString(any, field);
}

void Set(const std::string& text, int number, Message* any) {
  const FieldDescriptor* field = any->GetDescriptor()->FindFieldByNumber(number);
  if (field != nullptr) any->GetReflection()->SetString(any, field, text);
}

}  // namespace

AnyParts PartsOfAny(const Message& any) {
  return {.type_url = Get(any, kTypeUrl), .value = Get(any, kValue)};
}

void SetAny(const AnyParts& parts, Message* any) {
  Set(parts.type_url, kTypeUrl, any);
  Set(parts.value, kValue, any);
}

std::unique_ptr<Message> NewContent(const Message& any, std::string_view type_url) {
  const std::size_t slash = type_url.rfind('/');
  if (slash == std::string_view::npos) return nullptr;
  const std::string name(type_url.substr(slash + 1));
  const auto* type = any.GetDescriptor()->file()->pool()->FindMessageTypeByName(name);
  if (type != nullptr) {
    return std::unique_ptr<Message>(
        any.GetReflection()->GetMessageFactory()->GetPrototype(type)->New());
  }
  type = DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr) return nullptr;
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(type)->New());
}

}  // namespace penstock::protojson
