// What is known about a message type, worked out once: names, kinds, hooks.
#pragma once

#include <google/protobuf/descriptor.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/functional/function_ref.h"
#include "libs/protojson/codec.h"
#include "libs/protojson/hooks.h"

namespace penstock::protojson {

// Which form of the mapping a message type has.
enum class Form {
  kPlain,  // an object of its fields
  kTimestamp,
  kDuration,
  kFieldMask,
  kStruct,
  kValue,
  kListValue,
  kWrapper,
  kAny,
};

struct TypeInfo;

struct FieldInfo {
  FieldInfo(const google::protobuf::FieldDescriptor* field, std::size_t position);

  // What is known about the field's message type; only for message fields.
  const TypeInfo& type() const;

  // Whether null stands for a value, not for "unset": in fields of NullValue and Value.
  bool NullIsValue() const;

  const google::protobuf::FieldDescriptor* descriptor;
  std::size_t index;       // position in the declaration
  std::string quoted_key;  // `"name":`
  bool is_map;
  bool is_repeated;  // maps not included
  bool is_message;
  bool is_null_value;  // google.protobuf.NullValue

 private:
  mutable std::atomic<const TypeInfo*> type_{nullptr};
};

struct TypeInfo {
  explicit TypeInfo(const google::protobuf::Descriptor* type);

  const FieldInfo* Find(std::string_view name) const {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second;
  }
  bool HasOwnForm() const {
    return form != Form::kPlain || hook.load(std::memory_order_acquire) != nullptr;
  }

  const google::protobuf::Descriptor* descriptor;
  Form form;
  bool is_list_response;                                           // named List…Response
  std::deque<FieldInfo> fields;                                    // in the order of declaration
  std::unordered_map<std::string_view, const FieldInfo*> by_name;  // lowerCamelCase and original
  std::atomic<const JsonHook*> hook{nullptr};
  std::atomic<const JsonCodec*> codec{nullptr};  // only types of the form kPlain have one
};

// The one TypeInfo of a type; lives as long as the process, or until ForgetTypes. Thread-safe.
const TypeInfo& InfoOf(const google::protobuf::Descriptor* type);

// Whether `type` is compiled in: only such types have hooks, codecs, and generated classes.
bool IsCompiledIn(const google::protobuf::Descriptor* type);

// Does `work`, which gives OK or an error, with an empty compiled-in message of the same full name
// as that of `message`, a well-known type that was made at run time. False when there is no such
// type.
bool WithCompiledTwin(const google::protobuf::Message& message,
                      absl::FunctionRef<void(google::protobuf::Message& twin)> work);

}  // namespace penstock::protojson
