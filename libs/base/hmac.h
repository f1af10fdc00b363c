// HMAC-SHA256 (RFC 2104) of what lies in pieces.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace penstock {

// The 32 bytes of the code of all pieces, one behind the other. A key may have any length.
std::string HmacSha256(std::string_view key, std::initializer_list<std::string_view> pieces);

}  // namespace penstock
