// Runs of characters that stand for themselves in JSON strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace penstock::protojson {

// Whether any of 8 bytes is a quote, a backslash, a control character (DEL included) or not ASCII.
// May say so of others beside these.
inline bool HasSpecial(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kHigh = 0x8080808080808080u;
  // What a byte that is 0, or below 0x20, leaves in its highest bit.
  const auto is_zero = [](std::uint64_t x) { return (x - kOnes) & ~x; };
  const std::uint64_t is_control = (word - kOnes * 0x20) & ~word;
  return ((word | is_control | is_zero(word ^ kOnes * '"') | is_zero(word ^ kOnes * '\\') |
           is_zero(word ^ kOnes * 0x7f)) &
          kHigh) != 0;
}

// How many bytes at the start of `text` are certainly plain, in steps of 8: the rest needs a closer
// look.
inline std::size_t PlainPrefix(std::string_view text) {
  std::size_t size = 0;
  std::uint64_t word;
  while (text.size() - size >= sizeof(word)) {
    std::memcpy(&word, text.data() + size, sizeof(word));
    if (HasSpecial(word)) break;
    size += sizeof(word);
  }
  return size;
}

}  // namespace penstock::protojson
