#include "libs/protojson/codec.h"

#include <limits>

#include "libs/protojson/codec_parts.h"
#include "libs/protojson/type_info.h"

namespace penstock::protojson {
namespace {

using google::protobuf::Message;

// The codec of `message`, unless it is a dynamic message or its type has another form.
const JsonCodec* CodecOf(const TypeInfo& type, const Message& message) {
  const JsonCodec* codec = type.codec.load(std::memory_order_acquire);
  if (codec == nullptr || type.HasOwnForm()) return nullptr;
  return codec->prototype().GetReflection() == message.GetReflection() ? codec : nullptr;
}

}  // namespace

bool HasJsonCodec(const google::protobuf::Descriptor* type) {
  return InfoOf(type).codec.load(std::memory_order_acquire) != nullptr;
}

bool ParseJsonByCodec(std::string_view json, Message* message, const ParseOptions& options) {
  const JsonCodec* codec = CodecOf(InfoOf(message->GetDescriptor()), *message);
  // JsonDocument refuses longer texts.
  if (codec == nullptr || json.size() >= std::numeric_limits<std::uint32_t>::max()) return false;
  message->Clear();
  JsonReader in(json, options.max_depth, options.ignore_unknown_fields);
  return codec->read(in, message) && in.AtEnd();
}

bool AppendJsonByCodec(const Message& message, std::string* out, const PrintOptions& options) {
  // Every field being written is for people to look at: codecs leave it to reflection.
  if (options.always_print_defaults) return false;
  const TypeInfo& type = InfoOf(message.GetDescriptor());
  if (CodecOf(type, message) == nullptr) return false;
  const std::size_t size = out->size();
  JsonWriter writer(out, options.pretty);
  CodecOutput output{.json = writer, .options = options};
  if (codec::WriteChild(type, message, output)) return true;
  out->resize(size);
  return false;
}

}  // namespace penstock::protojson
