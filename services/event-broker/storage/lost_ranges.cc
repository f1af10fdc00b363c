#include "services/event-broker/storage/lost_ranges.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::broker {

absl::Status ScanResult::damage() const {
  if (!lost.has_value()) return absl::OkStatus();
  return absl::DataLossError(fmt::format("sequences {} to {} of {} are lost: {}", lost->first,
                                         lost->last, lost->file, lost->reason));
}

bool LostRanges::Add(LostRange range) {
  if (range.first > range.last) return false;
  const std::lock_guard lock(mutex_);
  for (const LostRange& known : ranges_) {
    if (known.first <= range.first && range.last <= known.last) return false;
  }
  const auto at =
      std::upper_bound(ranges_.begin(), ranges_.end(), range,
                       [](const LostRange& a, const LostRange& b) { return a.first < b.first; });
  ranges_.insert(at, std::move(range));
  return true;
}

std::optional<LostRange> LostRanges::FirstIn(Sequence first, Sequence last) const {
  const std::lock_guard lock(mutex_);
  for (const LostRange& range : ranges_) {
    if (range.first <= last && range.last >= first) return range;
  }
  return std::nullopt;
}

std::vector<LostRange> LostRanges::All() const {
  const std::lock_guard lock(mutex_);
  return ranges_;
}

void LostRanges::ForgetBelow(Sequence horizon) {
  const std::lock_guard lock(mutex_);
  std::erase_if(ranges_, [horizon](const LostRange& range) { return range.last < horizon; });
}

}  // namespace penstock::broker
