// A piece of configuration as read, with the place it came from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::config {

// Where a value was written, for messages.
struct Place {
  // A file, "environment variable PENSTOCK_X" or "--x"; empty when the value was set in code.
  std::string source;
  // Both from 1; 0 outside a file.
  int line = 0;
  int column = 0;

  // "gateway.yaml:3:5", "--http.listen" or "".
  std::string ToString() const;
};

// A YAML value: null, scalar, list or map. A scalar keeps its text; what it means is up to who
// reads it. A plain value, cheap enough for start-up.
struct Value {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  // The text of a scalar.
  std::string text;
  // True when a scalar was quoted, or came from where everything is text.
  bool quoted = false;
  std::vector<Value> items;    // of a list
  std::vector<Entry> entries;  // of a map, in order
  Place place;

  static Value Null();
  static Value Scalar(std::string text, bool quoted = false);
  static Value List();
  static Value List(std::vector<Value> items);
  static Value Map();

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }

  // The value of the entry called `key`, or null.
  const Value* Find(std::string_view key) const;
  // Appends an entry.
  void Add(std::string key, Value value);
};

struct Value::Entry {
  std::string key;
  Place key_place;
  Value value;
  // Ends the line that shows the entry in ToYaml; not part of the value.
  std::string comment;
};

inline Value Value::Null() { return {}; }

// "a string", "a list", …: for "expected a list, but this is a string".
std::string_view KindName(const Value& value);

// `value` as block-style YAML that ParseYaml reads back as the same value. Ends with a line end.
std::string ToYaml(const Value& value);

}  // namespace penstock::config
