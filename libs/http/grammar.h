// The bytes that RFC 9110 (5.5, 5.6) lets stand in names and values. For the files of this folder.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace penstock::http {

inline constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<int>(c)] = true;
  return table;
}();

inline bool IsTokenByte(char c) { return kTokenBytes[static_cast<unsigned char>(c)]; }

// Control bytes but TAB.
inline bool IsControlByte(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

inline bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenByte);
}

inline bool HasControlByte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), IsControlByte);
}

// `text` without spaces and TABs around it.
inline std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace penstock::http
