// The formats that strings are held to. Internal to libs/jsonschema.
#pragma once

#include <string_view>

namespace penstock::jsonschema {

struct Format {
  std::string_view name;
  bool (*holds)(std::string_view text);
};

// Null for a format that is not checked.
const Format* FindFormat(std::string_view name);

}  // namespace penstock::jsonschema
