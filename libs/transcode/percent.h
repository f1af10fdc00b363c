// Percent-encoding of paths and queries (RFC 3986, 2.1).
#pragma once

#include <string>
#include <string_view>

namespace penstock::transcode {

enum class PercentRule {
  kSegment,   // everything is decoded
  kSegments,  // an encoded slash stays encoded, so that it is told from one between segments
  kQuery,     // everything is decoded, and a plus is a space
};

// Decodes `text` into `out`. False on a percent sign without two hexadecimal digits after it.
bool PercentDecode(std::string_view text, PercentRule rule, std::string* out);

}  // namespace penstock::transcode
