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

namespace penstock::broker {

struct SegmentLogOptions {
  std::string folder;
  std::uint64_t segment_bytes = 128u << 20;  // A segment is sealed by the batch that reaches this.
  std::size_t record_bytes_max = 5u << 18;   // 1.25 MiB with attributes.
  std::size_t batch_bytes_max = 8u << 20;    // A commit takes waiting appends up to this.
  std::size_t queue_events_max = 65'536;
  std::size_t queue_bytes_max = 64u << 20;
  std::size_t cache_bytes_max = 64u << 20;  // Of recent batches, for readers near the head.
  std::uint64_t reserve_bytes = 64u << 20;  // Set aside on disk, given back when the disk is full.
  std::chrono::seconds dedup_window{300};
  std::size_t dedup_entries_max = 4'000'000;
  std::optional<Microseconds> retention_age;     // None: keep for ever.
  std::optional<std::uint64_t> retention_bytes;  // None: no limit.
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
  // The lowest sequence that some cursor still needs, asked at each retention run beside the pins;
  // kMaxSequence: none. May be empty.
  std::function<Sequence()> pin_floor;

  absl::Status Validate() const;
};

struct RetentionResult {
  std::uint64_t segments_removed = 0;
  std::uint64_t bytes_removed = 0;
  bool held_by_pin = false;  // More would have gone but for a pin.
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
  std::unique_ptr<LogPin> Pin(Sequence sequence) override;
  LogHealth Health() const override;
  absl::Status Reopen() override;
  void Stop() override;

  // Unlinks whole sealed segments that are over age or size, oldest first, never one that a pin
  // needs. May block; to be called from time to time (a minute) by the owner.
  absl::StatusOr<RetentionResult> ApplyRetention();

  // Reads one sealed segment again and verifies every checksum; each call takes the next segment,
  // and starts over at the end. What is damaged appears in Health(). Gives the file's name, empty
  // when there is none. May block.
  absl::StatusOr<std::string> ScrubNext();

  // With own_thread false: commits what waits, one batch a call, and runs the callbacks; false when
  // nothing waited.
  bool Pump();

 private:
  class Impl;
  explicit SegmentLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::broker
