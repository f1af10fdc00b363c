// JSON as YAML for people: block style, text of several lines as literal blocks.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::cli {

// The JSON value `json` as a YAML document with its line ends, which reads back as the same value.
absl::StatusOr<std::string> JsonToYaml(std::string_view json);

}  // namespace penstock::cli
