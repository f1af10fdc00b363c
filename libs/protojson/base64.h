// Base64 (RFC 4648) as JSON texts carry bytes.
#pragma once

#include <string>
#include <string_view>

namespace penstock::protojson {

// Appends `bytes` in the standard alphabet, with padding.
void AppendBase64(std::string_view bytes, std::string* out);

// Decodes the standard or the URL-safe alphabet, with or without padding, into `out`. False when
// `text` is not base64; white space is not allowed.
bool DecodeBase64(std::string_view text, std::string* out);

}  // namespace penstock::protojson
