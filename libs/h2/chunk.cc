#include "libs/h2/chunk.h"

#include <cstring>
#include <new>
#include <vector>

namespace penstock::h2 {
namespace {

constexpr std::size_t kSpareMax = 8;

// Read blocks for reuse by this thread.
struct Spares {
  ~Spares() {
    for (Block* block : blocks) ::operator delete(block);
  }
  std::vector<Block*> blocks;
};
thread_local Spares spares;

}  // namespace

Block* Block::New(std::size_t bytes) {
  if (bytes == kReadBytes && !spares.blocks.empty()) {
    Block* block = spares.blocks.back();
    spares.blocks.pop_back();
    return ::new (block) Block(bytes);
  }
  return ::new (::operator new(sizeof(Block) + bytes)) Block(bytes);
}

void Block::Free() {
  if (size_ == kReadBytes && spares.blocks.size() < kSpareMax) {
    spares.blocks.push_back(this);
  } else {
    ::operator delete(this);
  }
}

Chunk Chunk::Copy(std::string_view bytes) {
  if (bytes.empty()) return {};
  Block* block = Block::New(bytes.size());
  std::memcpy(block->data(), bytes.data(), bytes.size());
  return {block, std::string_view(block->data(), bytes.size())};
}

Chunk Chunk::Of(Block& block, std::string_view part) {
  if (part.size() * kWasteMax < block.size()) return Copy(part);
  block.Ref();
  return {&block, part};
}

}  // namespace penstock::h2
