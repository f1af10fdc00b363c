#include "libs/h2/output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::h2 {
namespace {

// Whatever is dropped when, the rest stays as it was: small text, and chunks by reference.
TEST(OutputTest, KeepsWhatIsLeftWhenThereIsAlwaysSomething) {
  Output output;
  std::string expected;
  std::size_t written = 0;
  std::uint32_t state = 1;
  const auto next = [&state](std::uint32_t limit) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
  };
  for (int round = 0; round < 20'000; ++round) {
    const bool is_chunk = next(8) == 0;
    const std::string bytes(is_chunk ? Output::kCopyMax + 1 + next(3'000) : 1 + next(200),
                            static_cast<char>('a' + round % 26));
    if (is_chunk) {
      output.Append(Chunk::Copy(bytes));
    } else {
      output.Append(bytes);
    }
    expected += bytes;
    if (output.size() < 4'000) continue;
    // As a socket that takes a part each time.
    const std::size_t part = next(static_cast<std::uint32_t>(output.size() - 1));
    std::string taken;
    for (const std::string_view piece : output.Pieces(64)) taken += piece;
    const std::size_t dropped = std::min(part, taken.size());
    ASSERT_EQ(taken, expected.substr(written, taken.size())) << round;
    output.Drop(dropped);
    written += dropped;
    ASSERT_EQ(output.size(), expected.size() - written);
  }
}

}  // namespace
}  // namespace penstock::h2
