#include "services/event-broker/storage/retention_rules.h"

#include <algorithm>

namespace penstock::broker {

RetentionView::RetentionView(const RetentionLimits& limits, std::vector<StoredSegment> segments,
                             WallTime now)
    : limits_(limits), segments_(std::move(segments)), now_(now) {
  for (const StoredSegment& segment : segments_) stored_ += segment.bytes;
}

bool RetentionView::OldestIsDue() const {
  if (segments_.size() - removed_ < 2) return false;
  const bool too_old = limits_.age.has_value() && oldest().newest < now_ - *limits_.age;
  return too_old || (limits_.bytes.has_value() && stored_ > *limits_.bytes);
}

void RetentionView::RemoveOldest() { stored_ -= segments_[removed_++].bytes; }

PinUse RetentionView::UseOf(const PinOwner& owner, Sequence sequence) const {
  PinUse use{.owner = owner, .sequence = sequence};
  if (removed_ == segments_.size()) return use;
  sequence = std::max(sequence, oldest().first);
  // Behind the last stored event a pin holds nothing.
  if (sequence > segments_.back().last) return use;
  auto at =
      std::upper_bound(segments_.begin() + static_cast<std::ptrdiff_t>(removed_), segments_.end(),
                       sequence, [](Sequence s, const StoredSegment& x) { return s < x.first; });
  for (auto behind = at; behind != segments_.end(); ++behind) use.bytes += behind->bytes;
  --at;
  // Of its own segment the part behind it counts, so that the share falls as its holder goes on.
  if (sequence <= at->last) {
    const double part = static_cast<double>(at->last - sequence + 1) /
                        static_cast<double>(at->last - at->first + 1);
    use.bytes += static_cast<std::uint64_t>(part * static_cast<double>(at->bytes));
    use.age = std::max(Microseconds(0), now_ - at->newest);
  }
  if (!limits_.any()) return use;
  const auto age_max = static_cast<double>(std::max<std::int64_t>(1, PinAgeMax().count()));
  use.share = static_cast<double>(use.age.count()) / age_max;
  if (const auto bytes_max = PinBytesMax()) {
    const auto bytes = static_cast<double>(std::max<std::uint64_t>(1, *bytes_max));
    use.share = std::max(use.share, static_cast<double>(use.bytes) / bytes);
  }
  return use;
}

bool RetentionView::Holds(const PinUse& use) const {
  if (use.share < 1) return true;
  if (!Refuses(use)) return false;
  // Only the quota itself ends the wait: a space that stands still must not stop all others.
  if (!limits_.bytes.has_value()) return true;
  return use.bytes <= std::max(*limits_.bytes, PinBytesMax().value_or(0));
}

bool RetentionView::Refuses(const PinUse& use) const {
  return limits_.on_pin_limit == OnPinLimit::kRefuse && !use.owner.space.empty() && use.share >= 1;
}

std::optional<std::uint64_t> RetentionView::PinBytesMax() const {
  if (limits_.pin_bytes_max > 0) return limits_.pin_bytes_max;
  if (limits_.bytes.has_value()) return *limits_.bytes / 2;
  return std::nullopt;
}

Microseconds RetentionView::PinAgeMax() const {
  // What is kept anyway needs no pin.
  return std::max(limits_.pin_age_max, limits_.age.value_or(Microseconds(0)));
}

}  // namespace penstock::broker
