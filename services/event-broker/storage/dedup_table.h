// Which events the log has seen lately, in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/domain/event_record.h"
#include "services/event-broker/storage/keyed_hash.h"

namespace penstock::broker {

// Keyed 128-bit hash of (space, source, id) → sequence and content, kept for a window of time.
//
// Entries lie in a ring in the order of insertion; an open-addressing table of 8-byte slots points
// into it. The ring is cut into generations of a tenth of the window (or of the bound). A
// generation ends as a whole; its slots are then cleared a few per insertion, so that nothing ever
// sweeps or rehashes millions of entries at once. Not thread-safe: used by the log's writer only.
class DedupTable {
 public:
  struct Entry {
    Hash128 hash;
    Sequence sequence = kNoSequence;
    std::uint64_t content = 0;
  };

  // `entries_max` is at least 16 and below 2^31.
  DedupTable(std::size_t entries_max, Microseconds window);

  // Ends the generations that are older than the window at `now`. `now` never goes back; earlier
  // values count as the latest one given.
  void Advance(MonotonicTime now);

  // Asks the memory for the slot of `hash`, for a Find soon after.
  void Prefetch(const Hash128& hash) const {
    __builtin_prefetch(&slots_.get()[hash.low & slot_mask_], 1);
  }

  // The living entry for `hash`, or null. The pointer is valid until the next change.
  const Entry* Find(const Hash128& hash) const;

  // Adds an entry for a hash that Find does not know.
  void Insert(const Entry& entry);

  // The number of insertions so far, for TakeBackTo.
  std::uint64_t mark() const { return head_; }
  // Removes what was inserted since `mark`, for a batch that could not be stored.
  void TakeBackTo(std::uint64_t mark);

  std::size_t entries() const { return static_cast<std::size_t>(head_ - live_); }
  // Notes that entries older than `since` were never put in, for a table filled from a part of the
  // window.
  void CoverOnlySince(MonotonicTime since) { covered_since_ = std::max(covered_since_, since); }
  // The window that is really covered at the last Advance: less than asked for when entries_max was
  // reached.
  Microseconds window_kept() const;

 private:
  static constexpr std::uint64_t kChunkEntries = 1 << 14;
  struct Generation {
    std::uint64_t first;  // Ring position of the first entry.
    MonotonicTime start;
  };
  struct Free {
    void operator()(std::uint64_t* slots) const { std::free(slots); }
  };

  Entry& At(std::uint64_t position) const {
    const std::uint64_t index = position & ring_mask_;
    return chunks_[index / kChunkEntries][index % kChunkEntries];
  }
  // The position in the ring that a slot points to.
  std::uint64_t PositionOf(std::uint64_t slot) const {
    const std::uint64_t index = (slot & 0xffffffff) - 1;
    return tail_ + ((index - tail_) & ring_mask_);
  }
  static std::uint64_t TagOf(const Hash128& hash) { return hash.low << 32; }
  void ClearSlotOf(std::uint64_t position);
  void ClearExpired(std::uint64_t count_max);
  void EndOldestGeneration();

  const std::size_t entries_max_;
  const Microseconds window_;
  std::uint64_t slot_mask_ = 0;
  std::uint64_t ring_mask_ = 0;
  // A slot is 0, or the low 32 bits of hash.low above the ring index plus one. calloc leaves
  // untouched pages unmapped.
  std::unique_ptr<std::uint64_t, Free> slots_;
  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::uint64_t tail_ = 0;  // First position whose slot is not yet cleared.
  std::uint64_t live_ = 0;  // First position that counts.
  std::uint64_t head_ = 0;  // Next position.
  std::deque<Generation> generations_;
  MonotonicTime now_ = MonotonicTime::min();
  MonotonicTime covered_since_ = MonotonicTime::min();
};

}  // namespace penstock::broker
