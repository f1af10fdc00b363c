#include "services/event-broker/storage/keyed_hash.h"

#include <sys/random.h>

#include <bit>
#include <cstdlib>
#include <cstring>

namespace penstock::broker {
namespace {

// The state and the round of SipHash (Aumasson and Bernstein), with one round a word and three at
// the end.
class Sip {
 public:
  explicit Sip(const HashKey& key)
      : v0_(key.k0 ^ 0x736f6d6570736575),
        v1_(key.k1 ^ 0x646f72616e646f6d ^ 0xee),  // 0xee: the variant with 128 bits of output.
        v2_(key.k0 ^ 0x6c7967656e657261),
        v3_(key.k1 ^ 0x7465646279746573) {}

  void Word(std::uint64_t word) {
    v3_ ^= word;
    Round();
    v0_ ^= word;
  }

  Hash128 Finish() {
    v2_ ^= 0xee;
    const std::uint64_t low = Squeeze();
    v1_ ^= 0xdd;
    return {low, Squeeze()};
  }

 private:
  void Round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }
  std::uint64_t Squeeze() {
    for (int i = 0; i < 3; ++i) Round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

}  // namespace

HashKey HashKey::Random() {
  HashKey key;
  // Up to 256 bytes come whole or not at all once the generator is seeded.
  if (getrandom(&key, sizeof key, 0) != sizeof key) std::abort();
  return key;
}

Hash128 HashParts(const HashKey& key, std::initializer_list<std::string_view> parts) {
  Sip sip(key);
  for (const std::string_view part : parts) {
    sip.Word(part.size());
    const char* at = part.data();
    std::size_t left = part.size();
    for (; left >= 8; left -= 8, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      sip.Word(word);
    }
    if (left > 0) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, left);
      sip.Word(word);
    }
  }
  return sip.Finish();
}

}  // namespace penstock::broker
