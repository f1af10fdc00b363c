#include "libs/h2/chunk.h"

#include <cstring>
#include <new>

namespace penstock::h2 {

Block* Block::New(std::size_t bytes) {
  return ::new (::operator new(sizeof(Block) + bytes)) Block(bytes);
}

void Block::Free() { ::operator delete(this); }

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
