// Retention and pins; retention_rules.h has the rules.
#include <set>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/segment_log_impl.h"

namespace penstock::broker {

RetentionView SegmentLog::Impl::ViewSegments() const {
  std::vector<StoredSegment> stored;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    const SegmentSummary summary = segment->summary();
    stored.push_back({.first = segment->id(),
                      .last = summary.empty() ? segment->id() - 1 : summary.last_sequence,
                      .bytes = segment->bytes(),
                      .newest = FromUnixMicros(summary.time_max)});
  }
  const std::lock_guard lock(state_mutex_);
  return {retention_, std::move(stored), clock_.Wall()};
}

void SegmentLog::Impl::SetRetention(const RetentionLimits& limits) {
  const std::lock_guard lock(state_mutex_);
  retention_ = limits;
}

void SegmentLog::Impl::JudgePins(const RetentionView& view) {
  std::optional<PinUse> worst;
  std::set<std::string, std::less<>> closed;
  pins_.RunHeld([&](const auto& pins) {
    for (const auto& [key, pin] : pins) {
      PinUse use = view.UseOf(pin.owner, pin.sequence);
      if (view.Refuses(use)) closed.insert(use.owner.space);
      if (!worst.has_value() || use.share > worst->share) worst = std::move(use);
    }
  });
  gate_.Close(std::move(closed));
  const std::lock_guard lock(state_mutex_);
  worst_pin_ = std::move(worst);
}

std::shared_ptr<Segment> SegmentLog::Impl::TakeDue(RetentionView& view, RetentionResult& result) {
  if (!view.OldestIsDue()) return nullptr;
  std::shared_ptr<Segment> taken;
  // Under the pins' lock, so that none comes in between the decision and the removal.
  pins_.RunHeld([&](const auto& pins) {
    std::vector<SkippedRange> skipped;
    for (const auto& [key, pin] : pins) {
      if (pin.sequence >= view.behind_oldest()) continue;
      if (view.Holds(view.UseOf(pin.owner, pin.sequence))) {
        result.held_by_pin = true;
        return;
      }
      skipped.push_back({.owner = pin.owner,
                         .first = std::max(pin.sequence, view.oldest().first),
                         .last = view.behind_oldest() - 1});
    }
    taken = segments_.All().front();
    segments_.PopFront();
    for (SkippedRange& range : skipped) result.skipped.push_back(std::move(range));
  });
  return taken;
}

absl::StatusOr<RetentionResult> SegmentLog::Impl::ApplyRetention() {
  AssertMayBlock("removing old segments");
  const std::lock_guard lock(maintenance_mutex_);
  RetentionResult result;
  RetentionView view = ViewSegments();
  JudgePins(view);
  while (const std::shared_ptr<Segment> oldest = TakeDue(view, result)) {
    const Sequence behind = view.behind_oldest();
    const std::uint64_t bytes = oldest->bytes();
    view.RemoveOldest();
    RETURN_IF_ERROR(folder_->Unlink(oldest->name()));
    // Each by itself: a power cut must never bring an old one back without its successor.
    RETURN_IF_ERROR(folder_->Sync());
    ++result.segments_removed;
    result.bytes_removed += bytes;
    lost_.ForgetBelow(behind);
  }
  const std::lock_guard state_lock(state_mutex_);
  skipped_ranges_ += result.skipped.size();
  return result;
}

}  // namespace penstock::broker
