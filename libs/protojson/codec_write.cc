#include "libs/protojson/codec_parts.h"
#include "libs/protojson/print_well_known.h"
#include "libs/protojson/time_text.h"

namespace penstock::protojson::codec {

using google::protobuf::Message;

namespace {

bool WriteTime(std::string_view text, CodecOutput& out) {
  if (text.empty()) return false;
  out.json.PlainString(text);
  return true;
}

bool WriteForm(const TypeInfo& type, const Message& message, CodecOutput& out) {
  if (out.depth > kMaxMessageDepth) return false;
  switch (type.form) {
    case Form::kPlain:
      if (const JsonCodec* codec = type.codec.load(std::memory_order_acquire)) {
        return codec->write(message, out);
      }
      break;
    case Form::kTimestamp: {
      TimeBuffer buffer;
      return WriteTime(
          TimestampText(static_cast<const google::protobuf::Timestamp&>(message), &buffer), out);
    }
    case Form::kDuration: {
      TimeBuffer buffer;
      return WriteTime(
          DurationText(static_cast<const google::protobuf::Duration&>(message), &buffer), out);
    }
    case Form::kWrapper:
    case Form::kAny: break;
    default: return WriteWellKnown(type, message, out.json).ok();
  }
  return WriteByReflection(type, message, out.options, out.json, out.depth - 1).ok();
}

}  // namespace

bool WriteChild(const TypeInfo& type, const Message& message, CodecOutput& out) {
  if (const JsonHook* hook = type.hook.load(std::memory_order_acquire)) {
    return hook->write(message, out.json).ok();
  }
  ++out.depth;
  const bool written = WriteForm(type, message, out);
  --out.depth;
  return written;
}

}  // namespace penstock::protojson::codec
