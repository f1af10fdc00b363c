#include "libs/protojson/json_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "libs/protojson/json_writer.h"

namespace penstock::protojson {
namespace {

constexpr std::size_t kMaxShownName = 64;

bool IsPlain(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '@' || c == '/';
  });
}

// The first characters of `name`, not cut inside a UTF-8 sequence.
std::string_view Shown(std::string_view name) {
  if (name.size() <= kMaxShownName) return name;
  std::size_t size = kMaxShownName;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xc0) == 0x80) --size;
  return name.substr(0, size);
}

}  // namespace

void JsonPath::AppendTo(std::string& out) const {
  if (parent_ == nullptr) {
    out += name_;
    return;
  }
  parent_->AppendTo(out);
  if (is_index_) {
    fmt::format_to(std::back_inserter(out), "[{}]", index_);
    return;
  }
  const std::string_view shown = Shown(name_);
  if (IsPlain(shown)) {
    if (!out.empty()) out += '.';
    out += shown;
  } else {
    out += '[';
    AppendJsonString(shown, &out);
    out += ']';
  }
}

std::string JsonPath::ToString() const {
  std::string out;
  AppendTo(out);
  return out;
}

absl::Status JsonPath::Error(std::string_view description) const {
  const std::string path = ToString();
  if (path.empty()) return absl::InvalidArgumentError(fmt::format("{}", description));
  return FieldError(path, description);
}

}  // namespace penstock::protojson
