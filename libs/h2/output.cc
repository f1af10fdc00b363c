#include "libs/h2/output.h"

#include <algorithm>
#include <utility>

namespace penstock::h2 {
namespace {

// A buffer that grew beyond this is given back when it is empty.
constexpr std::size_t kTextKept = 64 * 1024;
constexpr std::size_t kPiecesKept = 256;

}  // namespace

void Output::Append(std::string_view bytes) {
  const bool continues = pieces_.size() > first_ && pieces_.back().chunk.size() == 0 &&
                         pieces_.back().offset + pieces_.back().size == text_.size();
  if (continues) {
    pieces_.back().size += bytes.size();
  } else {
    pieces_.push_back({{}, text_.size(), bytes.size()});
  }
  text_.append(bytes);
  size_ += bytes.size();
}

void Output::Append(Chunk chunk) {
  if (chunk.size() <= kCopyMax) return Append(chunk.view());
  const std::size_t size = chunk.size();
  pieces_.push_back({std::move(chunk), 0, size});
  size_ += size;
}

const std::vector<std::string_view>& Output::Pieces(std::size_t pieces_max) {
  views_.clear();
  const std::size_t end = std::min(pieces_.size(), first_ + pieces_max);
  for (std::size_t i = first_; i < end; ++i) {
    const Piece& piece = pieces_[i];
    const std::string_view source = piece.chunk.size() > 0 ? piece.chunk.view() : text_;
    views_.push_back(source.substr(piece.offset, piece.size));
  }
  return views_;
}

void Output::Drop(std::size_t bytes) {
  size_ -= bytes;
  while (bytes > 0) {
    Piece& piece = pieces_[first_];
    const std::size_t part = std::min(bytes, piece.size);
    piece.offset += part;
    piece.size -= part;
    bytes -= part;
    if (piece.size > 0) break;
    piece.chunk = {};
    ++first_;
  }
  if (size_ > 0) return Compact();
  first_ = 0;
  pieces_.clear();
  text_.clear();
  if (text_.capacity() > kTextKept) text_.shrink_to_fit();
}

// Where there is always something left, what was written must not be kept until there is nothing.
void Output::Compact() {
  if (first_ >= kPiecesKept) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  std::size_t written = text_.size();
  for (std::size_t i = first_; i < pieces_.size(); ++i) {
    if (pieces_[i].chunk.size() > 0) continue;
    written = pieces_[i].offset;
    break;
  }
  if (written < kTextKept || written < text_.size() / 2) return;
  text_.erase(0, written);
  for (std::size_t i = first_; i < pieces_.size(); ++i) {
    if (pieces_[i].chunk.size() == 0) pieces_[i].offset -= written;
  }
}

}  // namespace penstock::h2
