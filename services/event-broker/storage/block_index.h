// Sparse index of one segment: where sequences and times lie, and which spaces and types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/storage/batch_format.h"

namespace penstock::broker {

// Whole batches lying one behind the other, read in one go.
struct BlockSpan {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;
  std::int64_t time_min = 0;
  std::int64_t time_max = 0;
};

// Blocks of at least 64 KiB (one batch, if that is larger), so that many small commits cost one
// entry. Not thread-safe.
class BlockIndex {
 public:
  // Adds the batch at `offset` of the file. Batches come in file order; a hole between two starts a
  // new block.
  void AddBatch(const BatchHeader& header, std::uint64_t offset);
  // Adds a record of the batch added last.
  void AddRecord(const RecordView& record);

  // The first block that reaches `from` or lies behind it and may hold a record that `filter`
  // passes.
  std::optional<BlockSpan> FirstMatching(Sequence from, const ScanFilter& filter) const;
  // The first block that reaches `from` or lies behind it and has an append time at or after
  // `time`.
  std::optional<BlockSpan> FirstAtOrAfter(Sequence from, std::int64_t time) const;

  bool empty() const { return blocks_.empty(); }

  void Encode(std::string& out) const;
  static absl::StatusOr<BlockIndex> Decode(std::string_view bytes);

 private:
  enum Flags : std::uint8_t { kHasControl = 1, kAnySpace = 2, kAnyType = 4, kHasEvents = 8 };
  struct Block {
    BlockSpan span;
    std::uint8_t flags = 0;
    std::vector<std::uint32_t> spaces;  // Indexes into names_.
    std::vector<std::uint32_t> types;
  };

  std::uint32_t Intern(std::string_view name);
  void AddName(std::vector<std::uint32_t>& names, std::uint8_t any, std::string_view name);
  std::size_t FirstReaching(Sequence from) const;

  std::vector<Block> blocks_;
  std::vector<std::string> names_;
  absl::flat_hash_map<std::string, std::uint32_t> ids_;
};

}  // namespace penstock::broker
