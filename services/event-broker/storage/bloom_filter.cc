#include "services/event-broker/storage/bloom_filter.h"

namespace penstock::broker {
namespace {

constexpr int kProbes = 7;
constexpr int kBitsPerProbe = 9;  // 512 bits a block.

// The block comes from the hash's high bits, the bits in it from a remixed copy.
std::uint64_t Remix(std::uint64_t hash) {
  hash *= 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 32);
}

}  // namespace

std::uint64_t FilterBlockOffset(std::uint64_t hash, std::uint64_t filter_bytes) {
  const std::uint64_t blocks = filter_bytes / kFilterBlockBytes;
  return ((hash >> 32) * blocks >> 32) * kFilterBlockBytes;
}

bool FilterBlockHolds(std::string_view block, std::uint64_t hash) {
  std::uint64_t bits = Remix(hash);
  for (int i = 0; i < kProbes; ++i, bits >>= kBitsPerProbe) {
    const auto bit = bits & 511;
    if ((static_cast<unsigned char>(block[bit / 8]) >> (bit % 8) & 1) == 0) return false;
  }
  return true;
}

FilterBuilder::FilterBuilder(std::size_t members)
    : bytes_((members * 10 / 512 + 1) * kFilterBlockBytes, '\0') {}

void FilterBuilder::Add(std::uint64_t hash) {
  char* const block = bytes_.data() + FilterBlockOffset(hash, bytes_.size());
  std::uint64_t bits = Remix(hash);
  for (int i = 0; i < kProbes; ++i, bits >>= kBitsPerProbe) {
    const auto bit = bits & 511;
    block[bit / 8] = static_cast<char>(block[bit / 8] | 1 << (bit % 8));
  }
}

}  // namespace penstock::broker
