// Reads the log: forward, by time, by id. Shared by all readers.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/storage/batch_cache.h"
#include "services/event-broker/storage/lost_ranges.h"
#include "services/event-broker/storage/segment.h"

namespace penstock::broker {

// Thread-safe. The arguments must outlive it; `head` is the last sequence that readers may see.
class LogReader {
 public:
  // How often in a row a block may fail to be read before it counts as damaged.
  static constexpr int kReadsMax = 10;

  LogReader(SegmentSet& segments, const BatchCache& cache, LostRanges& lost,
            const std::atomic<Sequence>& head)
      : segments_(segments), cache_(cache), lost_(lost), head_(head) {}

  // Gives the key of the stored hashes, once the log's id is known. Before any other call.
  void UseIndexKey(const HashKey& key) { index_key_ = key; }

  Sequence horizon() const;
  absl::StatusOr<ScanResult> Scan(const ScanRequest& request);
  std::optional<ScanResult> ScanCached(const ScanRequest& request) const;
  absl::StatusOr<EventRecord> Read(Sequence sequence);
  std::optional<EventRecord> ReadCached(Sequence sequence) const;
  absl::StatusOr<Sequence> FirstAtOrAfter(std::int64_t time);
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request);

 private:
  class Collector;

  absl::Status CheckHorizon(Sequence sequence) const;
  // Reads the next block behind `from` and gives where to go on.
  absl::StatusOr<Sequence> ScanFile(Sequence from, Collector& collector);
  // Reads one block. Damage goes to the lost ranges, and the scan goes on right at it. A read that
  // fails says nothing about what is stored: its error is given, for another try. One that has
  // failed kReadsMax times in a row is as good as damaged.
  absl::StatusOr<Sequence> TakeBlock(const Segment& segment, File& file, const BlockSpan& span,
                                     Sequence from, Collector& collector);
  // Counts a read that failed.
  bool IsUnreadable(Sequence block);
  void ForgetFailures(Sequence block);
  // By reading every event of `segment`; for when its id table is damaged.
  absl::Status FindByReading(const Segment& segment, const FindByIdRequest& request,
                             std::vector<EventRecord>& found);

  SegmentSet& segments_;
  const BatchCache& cache_;
  LostRanges& lost_;
  HashKey index_key_;
  const std::atomic<Sequence>& head_;
  std::mutex failures_mutex_;
  std::map<Sequence, int> failures_;  // Of reading a block, by its first event.
};

}  // namespace penstock::broker
