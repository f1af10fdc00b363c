// Which segments may go, and what pins may hold: rules without files and threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// What happens when a pin would hold more than it may.
enum class OnPinLimit : std::uint8_t {
  kSkip,    // The log goes on: what the pin needs is removed.
  kRefuse,  // Nothing more is published to the pin's space; the events stay until the whole quota
            // is used up.
};

struct RetentionLimits {
  std::optional<Microseconds> age;     // Of events. None: kept for ever.
  std::optional<std::uint64_t> bytes;  // The quota of the log. None: no limit.
  Microseconds pin_age_max = std::chrono::hours(14 * 24);
  std::uint64_t pin_bytes_max = 0;  // 0: half of the quota.
  OnPinLimit on_pin_limit = OnPinLimit::kSkip;

  // Whether anything is ever removed.
  bool any() const { return age.has_value() || bytes.has_value(); }
};

struct StoredSegment {
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;  // Below `first` when it holds nothing.
  std::uint64_t bytes = 0;
  WallTime newest{};  // Highest append time.
};

// The stored segments at one moment. Not thread-safe.
class RetentionView {
 public:
  // `segments` by rising sequence.
  RetentionView(const RetentionLimits& limits, std::vector<StoredSegment> segments, WallTime now);

  // Whether the oldest segment is over age or the log over its quota. The newest segment never is
  // due: its name tells the next sequence.
  bool OldestIsDue() const;
  const StoredSegment& oldest() const { return segments_[removed_]; }
  // The first sequence behind the oldest segment.
  Sequence behind_oldest() const { return segments_[removed_ + 1].first; }
  void RemoveOldest();

  // What a pin at `sequence` holds.
  PinUse UseOf(const PinOwner& owner, Sequence sequence) const;
  // Whether a pin is within what it may hold. One of no space is never waited for beyond the limit.
  bool Holds(const PinUse& use) const;
  // Whether publishes to the pin's space are refused.
  bool Refuses(const PinUse& use) const;

 private:
  std::optional<std::uint64_t> PinBytesMax() const;
  Microseconds PinAgeMax() const;

  const RetentionLimits& limits_;
  const std::vector<StoredSegment> segments_;
  const WallTime now_;
  std::size_t removed_ = 0;
  std::uint64_t stored_ = 0;
};

}  // namespace penstock::broker
