// Path templates of google.api.http: "/v1/{name=spaces/*/functions/*}:invoke".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::transcode {

struct TemplateSegment {
  enum class Kind { kLiteral, kSingle, kMulti };  // text, `*`, `**`
  Kind kind;
  std::string literal;  // as a path says it once percent-decoded
};

struct TemplateVariable {
  std::string name;       // a path of fields, joined by dots
  std::size_t begin = 0;  // the segments that it covers
  std::size_t end = 0;
};

struct PathTemplate {
  std::vector<TemplateSegment> segments;
  std::vector<TemplateVariable> variables;
  std::string verb;  // without its colon; empty when there is none
};

// INVALID_ARGUMENT saying what is wrong: no slash at the start, empty segments, nested or
// unfinished variables, names that are no paths of fields, bad percent-encoding, and a `**` that is
// not the last segment.
absl::StatusOr<PathTemplate> ParsePathTemplate(std::string_view text);

}  // namespace penstock::transcode
