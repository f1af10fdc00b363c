// JSON text parsed into a flat tree of nodes that keep their place in the text.
//
// Boost.JSON does the parsing (grammar, UTF-8, depth). The tree exists because its own DOM drops
// what the proto3 mapping needs: duplicate keys, the exact digits of numbers, and the exact text of
// a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::protojson {

// Nesting above this is refused in everything that comes from outside.
inline constexpr int kMaxDepth = 32;

enum class JsonKind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

// "null", "a boolean", "a number", "a string", "an array" or "an object": for error messages.
std::string_view KindName(JsonKind kind);

class JsonDocument;
class JsonElements;
class JsonMembers;

// One value of a JsonDocument: a light handle, valid as long as the document and its text.
class JsonValue {
 public:
  JsonKind kind() const { return node().kind; }
  bool is_null() const { return kind() == JsonKind::kNull; }
  bool is_object() const { return kind() == JsonKind::kObject; }
  bool is_array() const { return kind() == JsonKind::kArray; }
  bool is_string() const { return kind() == JsonKind::kString; }
  bool is_number() const { return kind() == JsonKind::kNumber; }
  bool is_bool() const { return kind() == JsonKind::kBool; }

  // The decoded characters of a string, or the digits of a number exactly as written.
  std::string_view text() const { return {node().text, node().text_size}; }
  // Only for a boolean.
  bool boolean() const { return node().text_size != 0; }
  // The exact bytes of this value in the parsed text, without surrounding white space.
  std::string_view raw() const;
  // The number of elements of an array or members of an object.
  std::size_t size() const { return node().count; }
  // The members of an object, in order, duplicates included; empty for another kind.
  JsonMembers members() const;
  // The elements of an array; empty for another kind.
  JsonElements elements() const;

 private:
  friend class JsonDocument;
  friend class JsonElements;
  friend class JsonMembers;
  friend class JsonTreeBuilder;

  struct Node {
    JsonKind kind;
    std::uint32_t count;  // elements or members
    std::uint32_t next;   // index of the first node after this value
    std::uint32_t begin;  // place of the value in the text
    std::uint32_t end;
    std::uint32_t text_size;
    const char* text;
  };

  JsonValue(const JsonDocument* document, std::uint32_t index)
      : document_(document), index_(index) {}
  const Node& node() const;

  const JsonDocument* document_;
  std::uint32_t index_;
};

struct JsonMember {
  std::string_view key;
  JsonValue value;
};

// A range over the members of an object.
class JsonMembers {
 public:
  class Iterator {
   public:
    JsonMember operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    friend class JsonMembers;
    Iterator(const JsonDocument* document, std::uint32_t index)
        : document_(document), index_(index) {}
    const JsonDocument* document_;
    std::uint32_t index_;  // the key's node; its value is the next one
  };
  Iterator begin() const { return {document_, begin_}; }
  Iterator end() const { return {document_, end_}; }

 private:
  friend class JsonValue;
  JsonMembers(const JsonDocument* document, std::uint32_t begin, std::uint32_t end)
      : document_(document), begin_(begin), end_(end) {}
  const JsonDocument* document_;
  std::uint32_t begin_;
  std::uint32_t end_;
};

// A range over the elements of an array.
class JsonElements {
 public:
  class Iterator {
   public:
    JsonValue operator*() const { return {document_, index_}; }
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    friend class JsonElements;
    Iterator(const JsonDocument* document, std::uint32_t index)
        : document_(document), index_(index) {}
    const JsonDocument* document_;
    std::uint32_t index_;
  };
  Iterator begin() const { return {document_, begin_}; }
  Iterator end() const { return {document_, end_}; }

 private:
  friend class JsonValue;
  JsonElements(const JsonDocument* document, std::uint32_t begin, std::uint32_t end)
      : document_(document), begin_(begin), end_(end) {}
  const JsonDocument* document_;
  std::uint32_t begin_;
  std::uint32_t end_;
};

// A parsed text. Refers to the text, which must outlive it. Neither copied nor moved, as values
// point to it.
class JsonDocument {
 public:
  JsonDocument() = default;
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  // Parses one JSON value with nothing but white space around it; may be called again for another
  // text. The error says line and column (both from 1, columns in bytes) and what was wrong there.
  absl::Status Parse(std::string_view text, int max_depth = kMaxDepth);

  // The parsed value. Only after Parse has returned OK.
  JsonValue root() const { return {this, 0}; }

 private:
  friend class JsonValue;
  friend class JsonElements;
  friend class JsonMembers;
  friend class JsonTreeBuilder;

  std::string_view text_;
  std::vector<JsonValue::Node> nodes_;
  // Strings that had escapes, decoded. Never longer than the text, so that it is allocated once.
  std::unique_ptr<char[]> decoded_;
  std::size_t decoded_size_ = 0;
};

// Whether `text` is one JSON value of at most `max_depth` levels. Builds nothing.
bool IsValidJson(std::string_view text, int max_depth = kMaxDepth);

inline const JsonValue::Node& JsonValue::node() const { return document_->nodes_[index_]; }

inline std::string_view JsonValue::raw() const {
  const Node& value = node();
  return document_->text_.substr(value.begin, value.end - value.begin);
}

inline JsonMembers JsonValue::members() const {
  const Node& value = node();
  return {document_, index_ + 1, value.kind == JsonKind::kObject ? value.next : index_ + 1};
}

inline JsonElements JsonValue::elements() const {
  const Node& value = node();
  return {document_, index_ + 1, value.kind == JsonKind::kArray ? value.next : index_ + 1};
}

inline JsonMember JsonMembers::Iterator::operator*() const {
  const JsonValue::Node& key = document_->nodes_[index_];
  return {{key.text, key.text_size}, JsonValue(document_, index_ + 1)};
}

inline JsonMembers::Iterator& JsonMembers::Iterator::operator++() {
  index_ = document_->nodes_[index_ + 1].next;
  return *this;
}

inline JsonElements::Iterator& JsonElements::Iterator::operator++() {
  index_ = document_->nodes_[index_].next;
  return *this;
}

}  // namespace penstock::protojson
