// HTTP/2 frames by hand, for peers that do what nghttp2 would not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::h2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types and flags of RFC 9113, section 6.
inline constexpr std::uint8_t kData = 0;
inline constexpr std::uint8_t kHeaders = 1;
inline constexpr std::uint8_t kRstStream = 3;
inline constexpr std::uint8_t kSettings = 4;
inline constexpr std::uint8_t kPing = 6;
inline constexpr std::uint8_t kGoaway = 7;
inline constexpr std::uint8_t kWindowUpdate = 8;
inline constexpr std::uint8_t kEndStream = 1;
inline constexpr std::uint8_t kEndHeaders = 4;
inline constexpr std::uint8_t kPadded = 8;

std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload);
// A field that is neither indexed nor compressed (RFC 7541, 6.2.2).
std::string RawField(std::string_view name, std::string_view value);
// HEADERS of a POST, with further fields.
std::string RawRequest(std::uint32_t stream, bool end,
                       const std::vector<std::pair<std::string, std::string>>& fields = {});
std::string RawReset(std::uint32_t stream, std::uint32_t code);
// What a client says first.
std::string RawHello();
// Whether `bytes`, whole frames, hold one of that type with that error code at `offset` of its
// payload.
bool HasFrame(std::string_view bytes, std::uint8_t type, std::size_t offset, std::uint32_t code);

}  // namespace penstock::h2
