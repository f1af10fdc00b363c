#include "tools/protoc-gen-penstock/names.h"

#include <fmt/format.h>
#include <google/protobuf/compiler/cpp/names.h>

#include <algorithm>
#include <iterator>

namespace penstock::protoc_gen {

namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string Stem(const google::protobuf::FileDescriptor& file) {
  return google::protobuf::compiler::cpp::StripProto(file.name());
}

std::string Mangled(std::string_view text) {
  std::string mangled;
  for (const char c : text) {
    if (IsAlphanumeric(c)) {
      mangled += c;
    } else {
      fmt::format_to(std::back_inserter(mangled), "_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return mangled;
}

std::string Identifier(std::string_view full_name) {
  std::string name(full_name);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string Literal(std::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      literal += '\\';
      literal += c;
    } else if (c >= 0x20 && c < 0x7f && c != '?') {
      literal += c;
    } else {  // three octal digits end by themselves, unlike hex
      fmt::format_to(std::back_inserter(literal), "\\{:03o}", static_cast<unsigned char>(c));
    }
  }
  return literal + '"';
}

}  // namespace penstock::protoc_gen
