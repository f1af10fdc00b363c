// What waits for one socket write.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libs/h2/chunk.h"

namespace penstock::h2 {

// Bytes in their order: small ones gathered in one buffer, large chunks by reference.
class Output {
 public:
  // Chunks up to this size are copied: a copy is cheaper than one more piece in the write.
  static constexpr std::size_t kCopyMax = 1024;

  void Append(std::string_view bytes);
  void Append(Chunk chunk);
  std::size_t size() const { return size_; }

  // The pieces that are left, `pieces_max` at most. Valid until the next change.
  const std::vector<std::string_view>& Pieces(std::size_t pieces_max);
  // The first `bytes` were written.
  void Drop(std::size_t bytes);

 private:
  void Compact();

  struct Piece {
    Chunk chunk;  // Empty: a part of text_.
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  std::string text_;
  std::vector<Piece> pieces_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::vector<std::string_view> views_;
};

}  // namespace penstock::h2
