// Re-reads sealed segments, a piece at a time, to find what has rotted before a reader needs it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/lost_ranges.h"
#include "services/event-broker/storage/segment.h"

namespace penstock::broker {

// Goes over all segments but the newest, then rests until the interval is over. Thread-safe; one
// step at a time.
class Scrubber {
 public:
  struct Options {
    Microseconds interval{};  // From the begin of one pass to the begin of the next.
    std::function<void(const std::string& sentence)> note;  // Told what it finds.
  };

  // `folder`, `segments`, `lost` and `clock` must outlive it.
  Scrubber(Folder& folder, SegmentSet& segments, LostRanges& lost, const Clock& clock,
           Options options);

  // Reads and verifies about `bytes_max` bytes more, from the device where that is possible.
  // Damaged ranges go to the lost ranges. An error means that a file could not be read; the next
  // step goes on with the next segment. May block.
  absl::Status Step(std::uint64_t bytes_max);

  ScrubHealth health() const;

 private:
  struct Current {
    std::shared_ptr<Segment> segment;
    SegmentSummary expected;
    std::unique_ptr<File> file;
    std::unique_ptr<SegmentScanner> scanner;
  };

  bool Choose();
  absl::Status Read(std::uint64_t bytes_max);
  absl::Status Finish();
  void Lose(Sequence first, Sequence last);
  template <typename Change>
  void Count(Change change) {
    const std::lock_guard lock(health_mutex_);
    change(health_);
  }

  Folder& folder_;
  SegmentSet& segments_;
  LostRanges& lost_;
  const Clock& clock_;
  const Options options_;

  std::mutex step_mutex_;
  std::uint64_t last_id_ = 0;  // Of the segment that was taken last in this pass.
  MonotonicTime pass_at_ = MonotonicTime::min();  // When the next pass may begin.
  bool in_pass_ = false;
  std::unique_ptr<Current> current_;

  mutable std::mutex health_mutex_;
  ScrubHealth health_;
};

}  // namespace penstock::broker
