// Bytes to be sent from several places in one go. Only for .cc files that use Asio.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <span>
#include <string_view>

#include "libs/http/pieces.h"

namespace penstock::http {

// The bytes stay where they are until they were sent.
class Gather {
 public:
  using Buffer = boost::asio::const_buffer;

  void Clear() { begin_ = end_ = 0; }
  void Add(std::string_view bytes) {
    if (!bytes.empty()) buffers_[end_++] = Buffer(bytes.data(), bytes.size());
  }
  void Add(const Pieces& pieces) {
    for (std::size_t i = 0; i < pieces.count; ++i) Add(pieces.views[i]);
  }
  // Takes what was sent off the front.
  void Consume(std::size_t size) {
    while (begin_ < end_ && size >= buffers_[begin_].size()) size -= buffers_[begin_++].size();
    if (begin_ < end_) buffers_[begin_] += size;
  }

  bool empty() const { return begin_ == end_; }
  std::size_t bytes() const { return boost::asio::buffer_size(rest()); }
  std::span<const Buffer> rest() const { return {buffers_.data() + begin_, end_ - begin_}; }

 private:
  // Before the pieces: output with a head, and a big body; behind them: the end of a chunk.
  std::array<Buffer, Pieces::kMax + 3> buffers_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace penstock::http
