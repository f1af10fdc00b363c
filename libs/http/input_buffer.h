// The bytes of a connection between the socket and the parser.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace penstock::http {

// Bytes read from a socket and not yet parsed: one flat block with a consumed front.
class InputBuffer {
 public:
  // Room for at least `size_min` more bytes, to be filled from its front. It stays where it is
  // until Commit, also when bytes are consumed meanwhile; each Prepare is followed by one Commit.
  std::span<char> Prepare(std::size_t size_min);
  void Commit(std::size_t size);
  void Consume(std::size_t size);
  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool is_filling_ = false;
};

}  // namespace penstock::http
