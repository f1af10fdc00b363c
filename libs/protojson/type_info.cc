#include "libs/protojson/type_info.h"

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"

namespace penstock::protojson {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// All types seen so far. Never destroyed, as types may be used until the process ends.
struct Registry {
  std::shared_mutex mutex;
  std::unordered_map<const Descriptor*, std::unique_ptr<TypeInfo>> types;
  std::map<std::string, std::unique_ptr<const JsonHook>, std::less<>> hooks;
  std::unordered_map<std::string, const JsonCodec*> codecs;
  // Hooks that were replaced: a reader may still be in one.
  std::deque<std::unique_ptr<const JsonHook>> retired;
};

Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

Form FormOf(const Descriptor* type) {
  switch (type->well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP: return Form::kTimestamp;
    case Descriptor::WELLKNOWNTYPE_DURATION: return Form::kDuration;
    case Descriptor::WELLKNOWNTYPE_FIELDMASK: return Form::kFieldMask;
    case Descriptor::WELLKNOWNTYPE_STRUCT: return Form::kStruct;
    case Descriptor::WELLKNOWNTYPE_VALUE: return Form::kValue;
    case Descriptor::WELLKNOWNTYPE_LISTVALUE: return Form::kListValue;
    case Descriptor::WELLKNOWNTYPE_ANY: return Form::kAny;
    case Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case Descriptor::WELLKNOWNTYPE_BOOLVALUE: return Form::kWrapper;
    default: return Form::kPlain;
  }
}

std::string QuotedKey(const std::string& name) {
  std::string quoted;
  AppendJsonString(name, &quoted);
  quoted += ':';
  return quoted;
}

}  // namespace

FieldInfo::FieldInfo(const FieldDescriptor* field, std::size_t position)
    : descriptor(field),
      index(position),
      quoted_key(QuotedKey(field->json_name())),
      is_map(field->is_map()),
      is_repeated(field->is_repeated() && !field->is_map()),
      is_message(field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE),
      is_null_value(field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM &&
                    field->enum_type()->full_name() == "google.protobuf.NullValue") {}

const TypeInfo& FieldInfo::type() const {
  const TypeInfo* known = type_.load(std::memory_order_acquire);
  if (known == nullptr) {
    known = &InfoOf(descriptor->message_type());
    type_.store(known, std::memory_order_release);
  }
  return *known;
}

bool FieldInfo::NullIsValue() const {
  return is_null_value || (is_message && type().form == Form::kValue);
}

TypeInfo::TypeInfo(const Descriptor* type)
    : descriptor(type),
      form(FormOf(type)),
      is_list_response(type->name().starts_with("List") && type->name().ends_with("Response")) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldInfo& field = fields.emplace_back(type->field(i), static_cast<std::size_t>(i));
    by_name[field.descriptor->json_name()] = &field;
  }
  // A lowerCamelCase name of one field goes before the original name of another.
  for (const FieldInfo& field : fields) by_name.emplace(field.descriptor->name(), &field);
}

const TypeInfo& InfoOf(const Descriptor* type) {
  Registry& registry = TheRegistry();
  {
    const std::shared_lock lock(registry.mutex);
    const auto found = registry.types.find(type);
    if (found != registry.types.end()) return *found->second;
  }
  const std::unique_lock lock(registry.mutex);
  auto& info = registry.types[type];
  if (!info) {
    info = std::make_unique<TypeInfo>(type);
    const auto hook = registry.hooks.find(type->full_name());
    if (!IsCompiledIn(type)) return *info;
    if (hook != registry.hooks.end()) info->hook = hook->second.get();
    const auto codec = registry.codecs.find(type->full_name());
    if (codec != registry.codecs.end() && info->form == Form::kPlain) info->codec = codec->second;
  }
  return *info;
}

bool IsCompiledIn(const Descriptor* type) {
  return type->file()->pool() == google::protobuf::DescriptorPool::generated_pool();
}

bool WithCompiledTwin(const google::protobuf::Message& message,
                      absl::FunctionRef<void(google::protobuf::Message& twin)> work) {
  const Descriptor* type = message.GetDescriptor();
  if (IsCompiledIn(type)) return false;
  const Descriptor* twin =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type->full_name());
  if (twin == nullptr) return false;
  const std::unique_ptr<google::protobuf::Message> made(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(twin)->New());
  work(*made);
  return true;
}

void ForgetTypes(const google::protobuf::DescriptorPool* pool) {
  Registry& registry = TheRegistry();
  const std::unique_lock lock(registry.mutex);
  std::erase_if(registry.types,
                [pool](const auto& entry) { return entry.first->file()->pool() == pool; });
}

void RegisterJsonHook(std::string_view full_name, const JsonHook& hook) {
  Registry& registry = TheRegistry();
  const std::unique_lock lock(registry.mutex);
  auto& slot = registry.hooks[std::string(full_name)];
  if (slot) registry.retired.push_back(std::move(slot));
  slot = std::make_unique<const JsonHook>(hook);
  for (auto& [type, info] : registry.types) {
    if (IsCompiledIn(type) && type->full_name() == full_name) info->hook = slot.get();
  }
}

void RegisterJsonCodec(std::string_view full_name, const JsonCodec* codec) {
  Registry& registry = TheRegistry();
  const std::unique_lock lock(registry.mutex);
  registry.codecs[std::string(full_name)] = codec;
  for (auto& [type, info] : registry.types) {
    const bool is_this = IsCompiledIn(type) && type->full_name() == full_name;
    if (is_this && info->form == Form::kPlain) info->codec = codec;
  }
}

}  // namespace penstock::protojson
