// Pieces of bodies that are passed on without a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace penstock::h2 {

// A buffer with a count of its users. The count is not atomic: all users are on one loop (or in one
// thread at a time).
class Block {
 public:
  // A block of `bytes`, with one user.
  static Block* New(std::size_t bytes);

  void Ref() { ++users_; }
  void Unref() {
    if (--users_ == 0) Free();
  }
  bool is_shared() const { return users_ > 1; }
  char* data() { return reinterpret_cast<char*>(this + 1); }
  std::size_t size() const { return size_; }

 private:
  explicit Block(std::size_t size) : size_(size) {}
  void Free();

  std::uint32_t users_ = 1;
  std::size_t size_;
};

// A view into a block, which it keeps. Cheap to move.
class Chunk {
 public:
  Chunk() = default;
  // A copy of `bytes`.
  static Chunk Copy(std::string_view bytes);
  // A part of `block`, without a copy; but a small part is copied, so that a few bytes that wait do
  // not keep a whole block: what waits takes at most kWasteMax times its size.
  static Chunk Of(Block& block, std::string_view part);
  static constexpr std::size_t kWasteMax = 16;

  Chunk(const Chunk& other) : block_(other.block_), view_(other.view_) {
    if (block_ != nullptr) block_->Ref();
  }
  Chunk(Chunk&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), view_(std::exchange(other.view_, {})) {}
  Chunk& operator=(Chunk other) noexcept {
    std::swap(block_, other.block_);
    std::swap(view_, other.view_);
    return *this;
  }
  ~Chunk() {
    if (block_ != nullptr) block_->Unref();
  }

  std::string_view view() const { return view_; }
  std::size_t size() const { return view_.size(); }
  void RemovePrefix(std::size_t bytes) { view_.remove_prefix(bytes); }
  // Another user of the first `bytes`.
  Chunk Prefix(std::size_t bytes) const {
    Chunk part(*this);
    part.view_ = view_.substr(0, bytes);
    return part;
  }

 private:
  Chunk(Block* block, std::string_view view) : block_(block), view_(view) {}

  Block* block_ = nullptr;
  std::string_view view_;
};

}  // namespace penstock::h2
