// States of a log that cannot write, and the reserve.
#include <fmt/format.h>

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

}  // namespace penstock::broker
