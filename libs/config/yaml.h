// YAML text to values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "libs/config/problems.h"
#include "libs/config/value.h"

namespace penstock::config {

inline constexpr std::size_t kYamlBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kYamlNodesMax = 200'000;

// Parses one document. `source` names it in places. Syntax errors, several documents, keys that are
// not scalars, duplicate keys, and more than the limits above (aliases count as often as they are
// used) go to `problems`; the value is then what could be read. Empty text is null.
Value ParseYaml(std::string_view text, const std::string& source, Problems& problems);

}  // namespace penstock::config
