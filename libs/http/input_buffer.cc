#include "libs/http/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace penstock::http {
namespace {

constexpr std::size_t kBufferInitial = 4096;
constexpr std::size_t kBufferKept = 16 * 1024;

}  // namespace

std::span<char> InputBuffer::Prepare(std::size_t size_min) {
  // A block that a big body needed is not kept for the small messages after it.
  if (size() == 0 && capacity_ > kBufferKept && size_min <= kBufferInitial) {
    bytes_.reset();
    capacity_ = begin_ = end_ = 0;
  }
  if (capacity_ - end_ < size_min) {
    const std::size_t used = size();
    std::size_t capacity = std::max(capacity_, kBufferInitial);
    while (capacity - used < size_min) capacity *= 2;
    if (capacity > capacity_) {
      std::unique_ptr<char[]> bytes(new char[capacity]);
      if (used > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, used);
      bytes_ = std::move(bytes);
      capacity_ = capacity;
    } else {
      std::memmove(bytes_.get(), bytes_.get() + begin_, used);
    }
    begin_ = 0;
    end_ = used;
  }
  is_filling_ = true;
  return {bytes_.get() + end_, capacity_ - end_};
}

void InputBuffer::Commit(std::size_t size) {
  is_filling_ = false;
  end_ += size;
}

void InputBuffer::Consume(std::size_t size) {
  begin_ += size;
  if (begin_ == end_ && !is_filling_) begin_ = end_ = 0;
}

}  // namespace penstock::http
