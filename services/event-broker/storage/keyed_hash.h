// SipHash-1-3: a hash that nobody can aim at without the key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace penstock::broker {

struct HashKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;

  // From the system's random generator.
  static HashKey Random();
};

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// Hashes a list of strings so that moving characters from one to the next gives another hash: each
// part is fed as its length and then its bytes, padded with zeros to whole words.
Hash128 HashParts(const HashKey& key, std::initializer_list<std::string_view> parts);

}  // namespace penstock::broker
