#include "tools/penstock/output/yaml_text.h"

#include <algorithm>
#include <array>

#include "libs/base/status.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"

namespace penstock::cli {
namespace {

using protojson::JsonKind;
using protojson::JsonValue;

// Events nest one level deeper inside other messages than outside.
constexpr int kDepthMax = protojson::kMaxDepth + 8;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Whether a plain scalar of this text is read as a string, whatever the reader's version of YAML.
bool IsPlain(std::string_view text) {
  static constexpr std::array<std::string_view, 10> kWords = {"true", "false", "yes", "no", "on",
                                                              "off",  "null",  "y",   "n",  "nan"};
  if (text.empty() || text.size() > 200) return false;
  if (!IsAlphanumeric(text[0]) && text[0] != '/' && text[0] != '_') return false;
  if (text[0] >= '0' && text[0] <= '9') return false;
  std::string lower;
  for (const char c : text) {
    if (!IsAlphanumeric(c) && std::string_view("_-./@+ ").find(c) == std::string_view::npos) {
      return false;
    }
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  if (text.back() == ' ') return false;
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

// Whether a literal block keeps this text exactly: whole lines, the first not indented, nothing
// that needs an escape.
bool IsBlock(std::string_view text) {
  if (text.size() < 2 || text.back() != '\n' || text[text.size() - 2] == '\n') return false;
  if (text[0] == ' ' || text[0] == '\n' || text[0] == '\t') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte < 0x7f) || c == '\n' || c == '\t';
  });
}

void AppendQuoted(std::string_view text, std::string& out) {
  if (IsPlain(text)) {
    out += text;
  } else {
    protojson::AppendJsonString(text, &out);
  }
}

void AppendBlock(std::string_view text, int indent, std::string& out) {
  out += "|\n";
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end != 0) out.append(static_cast<std::size_t>(indent), ' ');
    out += text.substr(0, end + 1);
    text.remove_prefix(end + 1);
  }
}

void AppendValue(const JsonValue& value, int indent, std::string& out);

// The members or elements of a container, one a line, at `indent`; the first begins where `out` is.
void AppendContainer(const JsonValue& value, int indent, std::string& out) {
  bool is_first = true;
  const auto begin = [&] {
    if (!is_first) out.append(static_cast<std::size_t>(indent), ' ');
    is_first = false;
  };
  for (const auto& member : value.members()) {
    begin();
    AppendQuoted(member.key, out);
    out += ':';
    const bool is_nested =
        (member.value.is_object() || member.value.is_array()) && member.value.size() > 0;
    if (is_nested) {
      out += '\n';
      const int inner = indent + (member.value.is_array() ? 0 : 2);
      out.append(static_cast<std::size_t>(inner), ' ');
      AppendContainer(member.value, inner, out);
    } else {
      out += ' ';
      AppendValue(member.value, indent + 2, out);
    }
  }
  for (const JsonValue& element : value.elements()) {
    begin();
    out += "- ";
    AppendValue(element, indent + 2, out);
  }
}

// One value with its line end.
void AppendValue(const JsonValue& value, int indent, std::string& out) {
  switch (value.kind()) {
    case JsonKind::kNull: out += "null\n"; return;
    case JsonKind::kBool: out += value.boolean() ? "true\n" : "false\n"; return;
    case JsonKind::kNumber:
      out += value.text();
      out += '\n';
      return;
    case JsonKind::kString:
      if (IsBlock(value.text())) return AppendBlock(value.text(), indent, out);
      AppendQuoted(value.text(), out);
      out += '\n';
      return;
    case JsonKind::kArray:
    case JsonKind::kObject: break;
  }
  if (value.size() > 0) return AppendContainer(value, indent, out);
  out += value.is_array() ? "[]\n" : "{}\n";
}

}  // namespace

absl::StatusOr<std::string> JsonToYaml(std::string_view json) {
  protojson::JsonDocument document;
  RETURN_IF_ERROR(document.Parse(json, kDepthMax));
  std::string out;
  AppendValue(document.root(), 0, out);
  return out;
}

}  // namespace penstock::cli
