// What generated code for routes is put together from. Only code that tools/protoc-gen-penstock
// writes includes this.
#pragma once

#include <string_view>

#include "libs/protojson/codec_parts.h"
#include "libs/transcode/route_code.h"

namespace penstock::transcode {

// Whether fields of `Type` cannot be set one by one, whatever its descriptor says: it has a hook.
template <typename Type>
bool HasOwnForm() {
  return protojson::codec::InfoOfType<Type>().HasOwnForm();
}

// A path of fields: the first one, and what follows its dot.
struct FieldName {
  explicit FieldName(std::string_view name)
      : first(name.substr(0, name.find('.'))),
        rest(first.size() == name.size() ? std::string_view() : name.substr(first.size() + 1)),
        is_last(first.size() == name.size()) {}

  std::string_view first;
  std::string_view rest;
  bool is_last;
};

// Writes a list of messages.
template <typename List>
bool WriteList(const List& list, protojson::CodecOutput& out) {
  out.json.BeginArray();
  for (const auto& message : list) {
    if (!protojson::codec::WriteMessage(message, out)) return false;
  }
  out.json.EndArray();
  return true;
}

}  // namespace penstock::transcode
