#include "services/event-broker/storage/segment_log.h"

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/segment_log_impl.h"

namespace penstock::broker {

absl::Status SegmentLogOptions::Validate() const {
  std::vector<FieldViolation> wrong;
  const auto check = [&wrong](bool right, const char* field, const char* expected) {
    if (!right) wrong.push_back({field, expected});
  };
  check(!folder.empty(), "log.folder", "must not be empty");
  check(segment_bytes >= 4096 && segment_bytes <= (1u << 30), "log.segment_bytes",
        "must be between 4096 and 1073741824");
  check(record_bytes_max >= 1024 && record_bytes_max <= (64u << 20), "log.record_bytes_max",
        "must be between 1024 and 67108864");
  check(batch_bytes_max >= record_bytes_max && batch_bytes_max <= (256u << 20),
        "log.batch_bytes_max", "must be between record_bytes_max and 268435456");
  check(queue_events_max >= 1, "log.queue_events_max", "must be at least 1");
  check(queue_bytes_max >= record_bytes_max && queue_bytes_max <= (1u << 30), "log.queue_bytes_max",
        "must be between record_bytes_max and 1073741824");
  check(dedup_entries_max >= 16 && dedup_entries_max <= (1u << 30), "log.dedup.entries_max",
        "must be between 16 and 1073741824");
  check(dedup_window.count() >= 1, "log.dedup.window", "must be at least 1 s");
  check(retention.pin_age_max.count() > 0, "log.pin.age_max", "must be more than 0");
  check(scrub_interval.count() >= 0, "log.scrub_interval", "must not be negative");
  check(disk_full_probe_interval.count() >= 0, "log.disk_full_probe_interval",
        "must not be negative");
  return FieldErrors(wrong);
}

absl::StatusOr<std::unique_ptr<SegmentLog>> SegmentLog::Open(SegmentLogOptions options,
                                                             FileSystem& file_system,
                                                             const Clock& clock) {
  AssertMayBlock("opening the event log");
  RETURN_IF_ERROR(options.Validate());
  ASSIGN_OR_RETURN(std::unique_ptr<Folder> folder, file_system.OpenFolder(options.folder));
  auto impl = std::make_unique<Impl>(std::move(options), clock, std::move(folder));
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<SegmentLog>(new SegmentLog(std::move(impl)));
}

SegmentLog::SegmentLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SegmentLog::~SegmentLog() = default;

absl::Status SegmentLog::Append(std::vector<AppendRequest> requests, AppendDone done) {
  return impl_->Append(std::move(requests), std::move(done));
}
Sequence SegmentLog::head() const { return impl_->head(); }
Sequence SegmentLog::horizon() const { return impl_->reader().horizon(); }
std::unique_ptr<HeadListener> SegmentLog::OnHeadAdvanced(std::function<void(Sequence)> listener) {
  return impl_->Listen(std::move(listener));
}
absl::StatusOr<ScanResult> SegmentLog::Scan(const ScanRequest& request) {
  return impl_->reader().Scan(request);
}
std::optional<ScanResult> SegmentLog::ScanCached(const ScanRequest& request) {
  return impl_->reader().ScanCached(request);
}
absl::StatusOr<EventRecord> SegmentLog::Read(Sequence sequence) {
  return impl_->reader().Read(sequence);
}
std::optional<EventRecord> SegmentLog::ReadCached(Sequence sequence) {
  return impl_->reader().ReadCached(sequence);
}
absl::StatusOr<Sequence> SegmentLog::FirstAtOrAfter(WallTime time) {
  return impl_->reader().FirstAtOrAfter(ToUnixMicros(time));
}
absl::StatusOr<std::vector<EventRecord>> SegmentLog::FindById(const FindByIdRequest& request) {
  return impl_->reader().FindById(request);
}
std::unique_ptr<LogPin> SegmentLog::Pin(Sequence sequence, const PinOwner& owner) {
  return impl_->Pin(sequence, owner);
}
LogHealth SegmentLog::Health() const { return impl_->Health(); }
absl::Status SegmentLog::Reopen() { return impl_->Reopen(); }
void SegmentLog::Stop() { impl_->Stop(); }
absl::StatusOr<RetentionResult> SegmentLog::ApplyRetention() { return impl_->ApplyRetention(); }
void SegmentLog::SetRetention(const RetentionLimits& limits) { impl_->SetRetention(limits); }
absl::Status SegmentLog::Scrub(std::uint64_t bytes_max) { return impl_->Scrub(bytes_max); }
bool SegmentLog::Pump() { return impl_->Pump(); }

}  // namespace penstock::broker
