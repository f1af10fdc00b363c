// What readers ask a segment for. Two kinds: in memory for the active segment, in the footer for
// sealed ones.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "services/event-broker/storage/batch_format.h"
#include "services/event-broker/storage/block_index.h"

namespace penstock::broker {

// The hashes under which footers file an event id and an ordering key.
std::uint64_t IdHash(const HashKey& key, std::string_view space, std::string_view id);
std::uint64_t OrderingKeyHash(const HashKey& key, std::string_view ordering_key);

// Thread-safe.
class SegmentIndex {
 public:
  virtual ~SegmentIndex() = default;
  virtual std::optional<BlockSpan> FirstMatching(Sequence from, const ScanFilter& filter) const = 0;
  virtual std::optional<BlockSpan> FirstAtOrAfter(Sequence from, std::int64_t time) const = 0;
  // Sequences of events that may have the id, newest first. May block.
  virtual absl::StatusOr<std::vector<Sequence>> FindId(std::uint64_t id_hash) const = 0;
  // False when no record here has the ordering key. May block.
  virtual absl::StatusOr<bool> MayHoldKey(std::uint64_t key_hash) const = 0;
};

// What a segment holds, kept in its trailer.
struct SegmentSummary {
  std::uint64_t segment_id = 0;
  Sequence first_sequence = kNoSequence;
  Sequence last_sequence = kNoSequence;
  std::uint64_t events = 0;  // Records of both kinds.
  std::int64_t time_min = 0;
  std::int64_t time_max = 0;
  std::uint64_t first_batch = 0;
  std::uint64_t last_batch = 0;
  std::uint32_t last_batch_crc = 0;
  std::uint64_t batches_end = 0;  // Offset behind the last batch, where the footer begins.

  bool empty() const { return events == 0; }
};

// Grows with each durable batch; the footer is made from it. Thread-safe.
class ActiveIndex final : public SegmentIndex {
 public:
  ActiveIndex(const LogId& log_id, std::uint64_t segment_id);

  // Adds a durable batch that lies at `offset`; `bytes` are the whole batch.
  void AddBatch(const BatchHeader& header, std::uint64_t offset, std::string_view bytes);
  // Notes sequences that were lost to damage, so that the footer tells of them.
  void AddHole(Sequence first, Sequence last);

  SegmentSummary summary() const;

  std::optional<BlockSpan> FirstMatching(Sequence from, const ScanFilter& filter) const override;
  std::optional<BlockSpan> FirstAtOrAfter(Sequence from, std::int64_t time) const override;
  absl::StatusOr<std::vector<Sequence>> FindId(std::uint64_t id_hash) const override;
  absl::StatusOr<bool> MayHoldKey(std::uint64_t key_hash) const override;

  // The footer that seals the segment, its trailer included.
  std::string EncodeFooter() const;

 private:
  struct IdEntry {
    std::uint64_t hash;
    std::uint32_t offset;  // From the segment's first sequence.
    std::uint32_t next;    // Index of the next older entry of the bucket plus one; 0: none.
  };

  void AddId(std::uint64_t hash, std::uint32_t offset);
  std::string EncodeIdTable() const;

  const LogId log_id_;
  const HashKey key_;
  mutable std::mutex mutex_;
  SegmentSummary summary_;
  BlockIndex blocks_;
  std::vector<IdEntry> ids_;
  std::vector<std::uint32_t> buckets_;  // Index of the newest entry plus one.
  absl::flat_hash_set<std::uint64_t> keys_;
  std::vector<std::pair<Sequence, Sequence>> holes_;
};

}  // namespace penstock::broker
