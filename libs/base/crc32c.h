// CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the SSE 4.2 instruction where the machine has
// it.
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

// The checksum of `data`; pass an earlier result as `seed` to continue over several pieces.
std::uint32_t Crc32c(std::string_view data, std::uint32_t seed = 0);

}  // namespace penstock
