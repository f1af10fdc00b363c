#include "services/event-broker/storage/scrubber.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::broker {

Scrubber::Scrubber(Folder& folder, SegmentSet& segments, LostRanges& lost, const Clock& clock,
                   Options options)
    : folder_(folder),
      segments_(segments),
      lost_(lost),
      clock_(clock),
      options_(std::move(options)) {}

absl::Status Scrubber::Step(std::uint64_t bytes_max) {
  AssertMayBlock("verifying the event log");
  const std::lock_guard lock(step_mutex_);
  if (current_ == nullptr && !Choose()) return absl::OkStatus();
  absl::Status status = Read(bytes_max);
  if (status.ok()) return status;
  const std::string name = current_->segment->name();
  current_.reset();
  // Retention may have removed it meanwhile.
  if (absl::IsNotFound(status)) return absl::OkStatus();
  Count([](ScrubHealth& health) { ++health.read_errors; });
  return absl::InternalError(
      fmt::format("{} could not be verified: {}", name, std::string(status.message())));
}

bool Scrubber::Choose() {
  if (!in_pass_) {
    if (clock_.Monotonic() < pass_at_) return false;
    in_pass_ = true;
    pass_at_ = clock_.Monotonic() + options_.interval;
    last_id_ = 0;
  }
  const std::vector<std::shared_ptr<Segment>> segments = segments_.All();
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    if (segments[i]->id() <= last_id_) continue;
    last_id_ = segments[i]->id();
    current_ = std::make_unique<Current>();
    current_->segment = segments[i];
    return true;
  }
  in_pass_ = false;
  if (segments.size() < 2) return false;
  Count([now = clock_.Wall()](ScrubHealth& health) {
    ++health.passes;
    health.last_pass_ended = now;
  });
  return false;
}

absl::Status Scrubber::Read(std::uint64_t bytes_max) {
  Current& current = *current_;
  if (current.file == nullptr) {
    current.expected = current.segment->summary();
    ASSIGN_OR_RETURN(current.file, folder_.Open(current.segment->name(), OpenMode::kRead));
    current.scanner = std::make_unique<SegmentScanner>(*current.file, current.expected.batches_end,
                                                       current.segment->identity(), nullptr);
  }
  const std::uint64_t from = current.scanner->offset();
  // What lies in the page cache would only prove that memory is intact. Dropped again behind, so
  // that it does not push out what readers need.
  current.file->DropCache(from, bytes_max);
  const auto more = current.scanner->Step(bytes_max);
  current.file->DropCache(from, bytes_max);
  RETURN_IF_ERROR(more.status());
  Count([bytes = current.scanner->offset() - from](ScrubHealth& health) {
    health.bytes_read += bytes;
  });
  return *more ? absl::OkStatus() : Finish();
}

absl::Status Scrubber::Finish() {
  const Current& current = *current_;
  const SegmentScan& scan = current.scanner->scan();
  for (const ScanHole& hole : scan.holes) Lose(hole.first, hole.last);
  if (!current.expected.empty()) {
    Lose(scan.last.has_value() ? scan.last->last_sequence() + 1 : current.segment->id(),
         current.expected.last_sequence);
  }
  if (current.segment->sealed()) {
    ASSIGN_OR_RETURN(const std::uint64_t size, current.file->Size());
    current.file->DropCache(current.expected.batches_end, size - current.expected.batches_end);
    const absl::Status footer = VerifyFooter(*current.file, size);
    if (absl::IsDataLoss(footer)) {
      Count([](ScrubHealth& health) { ++health.damaged_footers; });
      options_.note(fmt::format("{}: {}; its events are intact", current.segment->name(),
                                std::string(footer.message())));
    } else if (!footer.ok()) {
      return footer;
    }
  }
  Count([](ScrubHealth& health) { ++health.segments_verified; });
  // Retention may have removed the segment while it was read.
  if (const auto first = segments_.first_id()) lost_.ForgetBelow(*first);
  current_.reset();
  return absl::OkStatus();
}

void Scrubber::Lose(Sequence first, Sequence last) {
  const std::string& name = current_->segment->name();
  if (!lost_.Add({first, last, name, "checksum mismatch"})) return;
  Count([](ScrubHealth& health) { ++health.damaged_ranges; });
  options_.note(fmt::format("sequences {} to {} of {} are damaged and cannot be read any more",
                            first, last, name));
}

ScrubHealth Scrubber::health() const {
  const std::lock_guard lock(health_mutex_);
  return health_;
}

}  // namespace penstock::broker
