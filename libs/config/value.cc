#include "libs/config/value.h"

#include <utility>

#include "fmt/format.h"

namespace penstock::config {
namespace {

// True when plain YAML text gives back the same scalar. Narrower than YAML allows, on purpose.
bool IsPlainSafe(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return false;
  }
  constexpr std::string_view kFirst = "_./";
  constexpr std::string_view kNext = "_./:+-";
  bool first = true;
  for (const char c : text) {
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const std::string_view others = first ? kFirst : kNext;
    if (!alphanumeric && others.find(c) == std::string_view::npos) return false;
    first = false;
  }
  return text.back() != ':';
}

std::string Scalar(std::string_view text) {
  if (IsPlainSafe(text)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// Where the text of a value begins: after "key:", after "- ", or at the start of a line.
void Append(const Value& value, int indent, bool after_dash, const std::string& comment,
            std::string* out);

std::string Comment(const std::string& comment) {
  return comment.empty() ? "\n" : "  # " + comment + "\n";
}

void AppendEntries(const Value& map, int indent, bool after_dash, std::string* out) {
  bool first = true;
  for (const Value::Entry& entry : map.entries) {
    if (!first || !after_dash) out->append(static_cast<std::size_t>(indent), ' ');
    first = false;
    *out += Scalar(entry.key) + ":";
    Append(entry.value, indent + 2, false, entry.comment, out);
  }
}

void Append(const Value& value, int indent, bool after_dash, const std::string& comment,
            std::string* out) {
  const char* const space = after_dash ? "" : " ";
  switch (value.kind) {
    case Value::Kind::kNull: *out += space + std::string("null") + Comment(comment); return;
    case Value::Kind::kScalar: {
      // A null word that was quoted, or text that is one, stays text.
      *out += space + Scalar(value.text) + Comment(comment);
      return;
    }
    case Value::Kind::kList:
      if (value.items.empty()) {
        *out += space + std::string("[]") + Comment(comment);
        return;
      }
      *out += Comment(comment);
      for (const Value& item : value.items) {
        out->append(static_cast<std::size_t>(indent), ' ');
        *out += "- ";
        Append(item, indent + 2, true, "", out);
      }
      return;
    case Value::Kind::kMap:
      if (value.entries.empty()) {
        *out += space + std::string("{}") + Comment(comment);
        return;
      }
      if (!after_dash) *out += Comment(comment);
      AppendEntries(value, indent, after_dash, out);
      return;
  }
}

}  // namespace

std::string Place::ToString() const {
  if (source.empty() || line == 0) return source;
  return fmt::format("{}:{}:{}", source, line, column);
}

Value Value::Scalar(std::string text, bool quoted) {
  Value value;
  value.kind = Kind::kScalar;
  value.text = std::move(text);
  value.quoted = quoted;
  return value;
}

Value Value::List() { return List(std::vector<Value>()); }

Value Value::List(std::vector<Value> items) {
  Value value;
  value.kind = Kind::kList;
  value.items = std::move(items);
  return value;
}

Value Value::Map() {
  Value value;
  value.kind = Kind::kMap;
  return value;
}

const Value* Value::Find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void Value::Add(std::string key, Value value) {
  entries.push_back(
      {.key = std::move(key), .key_place = {}, .value = std::move(value), .comment = {}});
}

std::string_view KindName(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull: return "nothing";
    case Value::Kind::kScalar: return "a single value";
    case Value::Kind::kList: return "a list";
    case Value::Kind::kMap: return "a map";
  }
  return "";
}

std::string ToYaml(const Value& value) {
  std::string out;
  switch (value.kind) {
    case Value::Kind::kMap:
      if (value.entries.empty()) return "{}\n";
      AppendEntries(value, 0, false, &out);
      return out;
    case Value::Kind::kList:
      if (value.items.empty()) return "[]\n";
      for (const Value& item : value.items) {
        out += "- ";
        Append(item, 2, true, "", &out);
      }
      return out;
    case Value::Kind::kNull:
    case Value::Kind::kScalar: Append(value, 0, true, "", &out); return out;
  }
  return out;
}

}  // namespace penstock::config
