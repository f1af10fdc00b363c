// A set that may say yes wrongly (about 1 in 100) and never no wrongly, in blocks of one cache
// line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::broker {

inline constexpr std::size_t kFilterBlockBytes = 64;

// Where a hash lies in a filter of `filter_bytes`: the offset of its block.
std::uint64_t FilterBlockOffset(std::uint64_t hash, std::uint64_t filter_bytes);

// Whether `block`, of kFilterBlockBytes, may hold `hash`.
bool FilterBlockHolds(std::string_view block, std::uint64_t hash);

// Builds a filter: ten bits a member.
class FilterBuilder {
 public:
  explicit FilterBuilder(std::size_t members);
  void Add(std::uint64_t hash);
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace penstock::broker
