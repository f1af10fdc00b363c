// States of a log that cannot write, the reserve, retention and scrubbing.
#include <fmt/format.h>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/segment_log_impl.h"

namespace penstock::broker {

absl::Status SegmentLog::Impl::current_status() const {
  const std::lock_guard lock(state_mutex_);
  return status_;
}

void SegmentLog::Impl::SetState(State state, absl::Status status) {
  const std::lock_guard lock(state_mutex_);
  state_ = state;
  status_ = std::move(status);
}

void SegmentLog::Impl::Note(const std::string& sentence) {
  if (options_.on_note) options_.on_note(sentence);
}

absl::Status SegmentLog::Impl::CheckWritable() {
  {
    const std::lock_guard lock(state_mutex_);
    if (state_ != State::kDiskFull) return status_;
    if (clock_.Monotonic() < probe_at_) return status_;
    probe_at_ = clock_.Monotonic() + options_.disk_full_probe_interval;
  }
  // The reserve comes first: appends go on only when there is more space than it needs.
  if (!TakeReserve().ok()) return current_status();
  SetState(State::kWritable, absl::OkStatus());
  Note("the disk has space again and the event log accepts events");
  return absl::OkStatus();
}

absl::Status SegmentLog::Impl::FailureFor(const absl::Status& why) const {
  const std::string message(why.message());
  if (absl::IsResourceExhausted(why)) {
    return WithReason(
        absl::UnavailableError(fmt::format("the event log's disk is full: {}", message)),
        kReasonDiskFull);
  }
  return WithReason(
      absl::UnavailableError(fmt::format("the event log failed and must be reopened: {}", message)),
      absl::IsPermissionDenied(why) ? kReasonReadOnly : kReasonLogFailed);
}

void SegmentLog::Impl::EnterFailure(const absl::Status& why) {
  absl::Status status = FailureFor(why);
  Note(std::string(status.message()));
  if (!absl::IsResourceExhausted(why)) {
    SetState(State::kFailed, std::move(status));
    return;
  }
  ReleaseReserve();
  const std::lock_guard lock(state_mutex_);
  state_ = State::kDiskFull;
  status_ = std::move(status);
  probe_at_ = clock_.Monotonic() + options_.disk_full_probe_interval;
}

absl::Status SegmentLog::Impl::TakeReserve() {
  if (options_.reserve_bytes == 0) return absl::OkStatus();
  if (reserve_ == nullptr) {
    auto file = folder_->Open(kReserveName, OpenMode::kReadWrite);
    if (absl::IsNotFound(file.status())) file = folder_->Create(kReserveName);
    RETURN_IF_ERROR(file.status());
    reserve_ = *std::move(file);
  }
  ASSIGN_OR_RETURN(const std::uint64_t size, reserve_->Size());
  if (size == options_.reserve_bytes) return absl::OkStatus();
  if (size > options_.reserve_bytes) return reserve_->Truncate(options_.reserve_bytes);
  absl::Status allocated = reserve_->Allocate(options_.reserve_bytes);
  if (!allocated.ok()) ReleaseReserve();
  return allocated;
}

void SegmentLog::Impl::ReleaseReserve() {
  if (reserve_ == nullptr) return;
  if (const absl::Status released = reserve_->Truncate(0); !released.ok()) {
    Note(fmt::format("the reserve could not be given back: {}", std::string(released.message())));
  }
}

absl::StatusOr<RetentionResult> SegmentLog::Impl::ApplyRetention() {
  AssertMayBlock("removing old segments");
  const std::lock_guard lock(maintenance_mutex_);
  RetentionResult result;
  if (!options_.retention_age.has_value() && !options_.retention_bytes.has_value()) return result;
  const Sequence floor = options_.pin_floor ? options_.pin_floor() : kMaxSequence;
  std::uint64_t stored = segments_.bytes();
  while (true) {
    const std::vector<std::shared_ptr<Segment>> segments = segments_.All();
    // The newest stays, whatever its age: its name tells the next sequence.
    if (segments.size() < 2) break;
    const std::shared_ptr<Segment>& oldest = segments.front();
    const std::uint64_t bytes = oldest->bytes();
    const bool too_old =
        options_.retention_age.has_value() &&
        oldest->summary().time_max < ToUnixMicros(clock_.Wall() - *options_.retention_age);
    const bool too_much =
        options_.retention_bytes.has_value() && stored > *options_.retention_bytes;
    if (!too_old && !too_much) break;
    const Sequence behind = segments[1]->id();
    if (floor < behind || !pins_.RunUnlessPinnedBelow(behind, [this] { segments_.PopFront(); })) {
      result.held_by_pin = true;
      break;
    }
    RETURN_IF_ERROR(folder_->Unlink(oldest->name()));
    // Each by itself: a power cut must never bring an old one back without its successor.
    RETURN_IF_ERROR(folder_->Sync());
    stored -= bytes;
    ++result.segments_removed;
    result.bytes_removed += bytes;
    lost_.ForgetBelow(behind);
  }
  return result;
}

absl::StatusOr<std::string> SegmentLog::Impl::ScrubNext() {
  AssertMayBlock("verifying a segment");
  const std::lock_guard lock(maintenance_mutex_);
  std::shared_ptr<Segment> chosen;
  for (const std::shared_ptr<Segment>& segment : segments_.All()) {
    if (!segment->sealed()) continue;
    if (chosen == nullptr) chosen = segment;
    if (segment->id() > scrubbed_id_) {
      chosen = segment;
      break;
    }
  }
  if (chosen == nullptr) return std::string();
  scrubbed_id_ = chosen->id();
  RETURN_IF_ERROR(chosen->Verify());
  return chosen->name();
}

}  // namespace penstock::broker
