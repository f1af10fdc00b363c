// Details of one type beside each other in an absl::Status, which has room for one payload of each.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

// In no type's name: the second detail of a type and those that follow are held under the type with
// this and a number behind it.
inline constexpr char kRepeatedDetail = '#';

// The type URL of a detail, of the key that it is held under.
inline std::string DetailType(absl::string_view key) {
  return std::string(key.substr(0, key.find(kRepeatedDetail)));
}

// Gives out the keys of one status.
class DetailKeys {
 public:
  std::string For(const std::string& type_url) {
    const int before = seen_[type_url]++;
    return before == 0 ? type_url : type_url + kRepeatedDetail + std::to_string(before);
  }

 private:
  std::map<std::string, int> seen_;
};

}  // namespace penstock
