// The sequences that are known to be unreadable.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Thread-safe.
class LostRanges {
 public:
  // Adds a range; false when it was known already. Empty ranges are ignored.
  bool Add(LostRange range);
  // The first range that overlaps [first, last].
  std::optional<LostRange> FirstIn(Sequence first, Sequence last) const;
  std::vector<LostRange> All() const;
  // Drops ranges that retention has removed altogether.
  void ForgetBelow(Sequence horizon);

 private:
  mutable std::mutex mutex_;
  std::vector<LostRange> ranges_;  // By first sequence.
};

}  // namespace penstock::broker
