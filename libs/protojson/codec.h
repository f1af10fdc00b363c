// Generated JSON code for message types: what tools/protoc-gen-penstock writes enters itself here,
// and ParseJson, AppendJson and PrintJson use it from then on.
//
// A codec knows only right texts and messages. On any other, and on anything it would rather not
// decide, it gives up, and the reflection path does the whole work again: results, error texts and
// limits are the same with and without codecs.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/protojson/json_reader.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"

namespace penstock::protojson {

// Messages nested above this are not written: what the wire format's own parser allows. Content of
// an Any is parsed apart, so it must be counted.
inline constexpr int kMaxMessageDepth = 100;

// What a codec writes to.
struct CodecOutput {
  JsonWriter& json;
  const PrintOptions& options;
  int depth = 0;  // messages that are open
};

// How one generated message type with the plain form is read and written. Functions get messages of
// that generated class only, and must be thread-safe.
struct JsonCodec {
  // The class that the functions cast to.
  const google::protobuf::Message& (*prototype)();
  // Reads one value into the empty `message`. False when the text should be read by reflection.
  bool (*read)(JsonReader& in, google::protobuf::Message* message);
  // Writes exactly one value. False when the message should be written by reflection.
  bool (*write)(const google::protobuf::Message& message, CodecOutput& out);
};

// Uses `codec`, which must live as long as the process, for messages of type `full_name`; a type
// with a JsonHook keeps to its hook. Thread-safe; may be called before main.
void RegisterJsonCodec(std::string_view full_name, const JsonCodec* codec);

// Whether messages of `type` have a codec.
bool HasJsonCodec(const google::protobuf::Descriptor* type);

// ParseJson and AppendJson by the codec alone. False when `message` has none or its codec gave up:
// `message` is then unspecified, and `out` as it was.
bool ParseJsonByCodec(std::string_view json, google::protobuf::Message* message,
                      const ParseOptions& options = {});
bool AppendJsonByCodec(const google::protobuf::Message& message, std::string* out,
                       const PrintOptions& options = {});

// ParseJson and AppendJson without codecs.
absl::Status ParseJsonByReflection(std::string_view json, google::protobuf::Message* message,
                                   const ParseOptions& options = {});
absl::Status AppendJsonByReflection(const google::protobuf::Message& message, std::string* out,
                                    const PrintOptions& options = {});

}  // namespace penstock::protojson
