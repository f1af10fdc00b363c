#include "services/event-broker/storage/dedup_table.h"

#include <algorithm>
#include <bit>
#include <new>

namespace penstock::broker {
namespace {
constexpr std::size_t kGenerations = 10;
constexpr std::uint64_t kClearPerInsert = 4;  // More than one, so that clearing outruns insertion.
constexpr std::uint64_t kClearPerAdvance = 256;
}  // namespace

DedupTable::DedupTable(std::size_t entries_max, Microseconds window)
    : entries_max_(std::max<std::size_t>(entries_max, 16)), window_(window) {
  const std::uint64_t slots = std::bit_ceil(std::uint64_t{entries_max_} * 2);
  // One chunk more than the bound: the head never enters a chunk that the tail is about to free.
  const std::uint64_t ring = std::bit_ceil(std::uint64_t{entries_max_} + kChunkEntries);
  slot_mask_ = slots - 1;
  ring_mask_ = ring - 1;
  slots_.reset(static_cast<std::uint64_t*>(std::calloc(slots, sizeof(std::uint64_t))));
  if (slots_ == nullptr) throw std::bad_alloc();
  chunks_.resize(ring / kChunkEntries);
}

void DedupTable::Advance(MonotonicTime now) {
  now_ = std::max(now_, now);
  // A generation is over the window when its successor, and so its own youngest entry, is.
  while (generations_.size() > 1 && now_ - generations_[1].start >= window_) {
    generations_.pop_front();
    live_ = generations_.front().first;
  }
  if (generations_.size() == 1 &&
      now_ - generations_.front().start >= window_ + window_ / kGenerations) {
    generations_.clear();
    live_ = head_;
  }
  ClearExpired(kClearPerAdvance);
}

const DedupTable::Entry* DedupTable::Find(const Hash128& hash) const {
  const std::uint64_t tag = TagOf(hash);
  for (std::uint64_t i = hash.low & slot_mask_;; i = (i + 1) & slot_mask_) {
    const std::uint64_t slot = slots_.get()[i];
    if (slot == 0) return nullptr;
    if ((slot ^ tag) >> 32 != 0) continue;
    const std::uint64_t position = PositionOf(slot);
    if (position < live_) continue;
    const Entry& entry = At(position);
    if (entry.hash == hash) return &entry;
  }
}

void DedupTable::Insert(const Entry& entry) {
  if (generations_.empty() || now_ - generations_.back().start >= window_ / kGenerations ||
      head_ - generations_.back().first >= entries_max_ / kGenerations) {
    generations_.push_back({head_, now_});
  }
  if (head_ - live_ >= entries_max_) EndOldestGeneration();
  ClearExpired(kClearPerInsert);
  const std::uint64_t index = head_ & ring_mask_;
  std::unique_ptr<Entry[]>& chunk = chunks_[index / kChunkEntries];
  if (chunk == nullptr) chunk = std::make_unique<Entry[]>(kChunkEntries);
  At(head_) = entry;
  std::uint64_t i = entry.hash.low & slot_mask_;
  while (slots_.get()[i] != 0) i = (i + 1) & slot_mask_;
  slots_.get()[i] = TagOf(entry.hash) | (index + 1);
  ++head_;
}

void DedupTable::TakeBackTo(std::uint64_t mark) {
  const std::uint64_t stop = std::max(mark, tail_);
  while (head_ > stop) ClearSlotOf(--head_);
  while (!generations_.empty() && generations_.back().first >= head_) generations_.pop_back();
  live_ = std::min(live_, head_);
}

Microseconds DedupTable::window_kept() const {
  if (covered_since_ == MonotonicTime::min()) return window_;
  return std::min(window_, now_ - covered_since_);
}

void DedupTable::EndOldestGeneration() {
  // The generation just begun is never the oldest here: a generation holds at most a tenth of the
  // bound.
  generations_.pop_front();
  live_ = generations_.front().first;
  covered_since_ = generations_.front().start;
}

void DedupTable::ClearExpired(std::uint64_t count_max) {
  for (; count_max > 0 && tail_ < live_; --count_max) {
    ClearSlotOf(tail_);
    ++tail_;
    if ((tail_ & ring_mask_) % kChunkEntries == 0) {
      chunks_[((tail_ - 1) & ring_mask_) / kChunkEntries].reset();
    }
  }
}

void DedupTable::ClearSlotOf(std::uint64_t position) {
  const std::uint64_t wanted = (position & ring_mask_) + 1;
  std::uint64_t hole = At(position).hash.low & slot_mask_;
  while ((slots_.get()[hole] & 0xffffffff) != wanted) hole = (hole + 1) & slot_mask_;
  // Moves later members of the run back, so that no search ends early at the hole.
  for (std::uint64_t i = (hole + 1) & slot_mask_; slots_.get()[i] != 0; i = (i + 1) & slot_mask_) {
    const std::uint64_t home = (slots_.get()[i] >> 32) & slot_mask_;
    if (((i - home) & slot_mask_) >= ((i - hole) & slot_mask_)) {
      slots_.get()[hole] = slots_.get()[i];
      hole = i;
    }
  }
  slots_.get()[hole] = 0;
}

}  // namespace penstock::broker
