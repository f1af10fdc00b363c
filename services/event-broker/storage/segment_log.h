// The event log as a folder of segment files. FORMAT.md describes them byte by byte.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/retention_rules.h"

namespace penstock::broker {

struct SegmentLogOptions {
  std::string folder;
  std::uint64_t segment_bytes = 128u << 20;  // A segment is sealed by the batch that reaches this.
  // Space that the segment being written gets ahead, as zeros: a sync writes less then. 0: none.
  std::uint64_t set_aside_bytes = 4u << 20;
  std::size_t record_bytes_max = 5u << 18;  // 1.25 MiB with attributes.
  std::size_t batch_bytes_max = 8u << 20;   // A commit takes waiting appends up to this.
  std::size_t queue_events_max = 65'536;
  std::size_t queue_bytes_max = 64u << 20;
  std::size_t cache_bytes_max = 64u << 20;  // Of recent batches, for readers near the head.
  std::uint64_t reserve_bytes = 64u << 20;  // Set aside on disk, given back when the disk is full.
  std::chrono::seconds dedup_window{300};
  std::size_t dedup_entries_max = 4'000'000;
  RetentionLimits retention;                             // By default everything is kept for ever.
  Microseconds scrub_interval = std::chrono::hours(24);  // Between passes over all segments.
  Microseconds disk_full_probe_interval = std::chrono::seconds(1);
  // The highest sequence that anyone is known to have seen (from the state store's cursors). A log
  // that ends below it has lost its end: the missing range is reported and its sequences are not
  // given out again.
  Sequence sequence_floor = kNoSequence;
  // False: no thread; appends wait until Pump() is called. For simulations that decide when a
  // commit happens.
  bool own_thread = true;
  // Told one sentence per thing recovery or the writer did that an operator should know. May be
  // empty. Called on the thread that did it: must not block.
  std::function<void(const std::string& sentence)> on_note;

  absl::Status Validate() const;
};

struct RetentionResult {
  std::uint64_t segments_removed = 0;
  std::uint64_t bytes_removed = 0;
  bool held_by_pin = false;           // More would have gone but for a pin.
  std::vector<SkippedRange> skipped;  // What went though a pin needed it.
};

class SegmentLog final : public EventLog {
 public:
  // Opens or creates the log in `options.folder` and recovers it. FAILED_PRECONDITION, with the
  // folder untouched, when its format is newer than this code. A folder that cannot be written
  // opens for reading. `file_system` and `clock` must outlive the log. May block.
  static absl::StatusOr<std::unique_ptr<SegmentLog>> Open(SegmentLogOptions options,
                                                          FileSystem& file_system,
                                                          const Clock& clock);
  ~SegmentLog() override;

  absl::Status Append(std::vector<AppendRequest> requests, AppendDone done) override;
  Durability durability() const override { return Durability::kFsynced; }
  Sequence head() const override;
  Sequence horizon() const override;
  std::unique_ptr<HeadListener> OnHeadAdvanced(std::function<void(Sequence)> listener) override;
  absl::StatusOr<ScanResult> Scan(const ScanRequest& request) override;
  std::optional<ScanResult> ScanCached(const ScanRequest& request) override;
  absl::StatusOr<EventRecord> Read(Sequence sequence) override;
  std::optional<EventRecord> ReadCached(Sequence sequence) override;
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime time) override;
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest& request) override;
  using EventLog::Pin;
  std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner& owner) override;
  LogHealth Health() const override;
  absl::Status Reopen() override;
  void Stop() override;

  // Unlinks whole sealed segments that are over age or size, oldest first, never one that a pin
  // holds within its limits, and brings Health().pins up to date. May block; to be called by the
  // owner every second.
  absl::StatusOr<RetentionResult> ApplyRetention();
  // In place of SegmentLogOptions::retention, from the next ApplyRetention on.
  void SetRetention(const RetentionLimits& limits);

  // Reads about `bytes_max` bytes more of the sealed segments again and verifies them; rests when
  // all were read within the interval. What is damaged appears in Health(). An error means that a
  // file could not be read. May block; `bytes_max` a second is the owner's rate.
  absl::Status Scrub(std::uint64_t bytes_max);

  // With own_thread false: commits what waits, one batch a call, and runs the callbacks; false when
  // nothing waited.
  bool Pump();

 private:
  class Impl;
  explicit SegmentLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::broker
