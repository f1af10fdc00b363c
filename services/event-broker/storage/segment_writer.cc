#include "services/event-broker/storage/segment_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kZerosAhead = 256u << 10;

}  // namespace

SegmentWriter::SegmentWriter(Folder& folder, SegmentSet& segments, LostRanges& lost,
                             const LogId& log_id, std::uint64_t segment_bytes,
                             std::uint64_t set_aside_bytes, WritePosition position)
    : folder_(folder),
      segments_(segments),
      lost_(lost),
      log_id_(log_id),
      segment_bytes_(segment_bytes),
      set_aside_bytes_(set_aside_bytes),
      position_(std::move(position)) {}

absl::Status SegmentWriter::Prepare() {
  if (position_.active != nullptr) {
    const bool full = position_.durable_offset >= segment_bytes_ ||
                      position_.next_sequence - position_.active->id() >
                          std::numeric_limits<std::uint32_t>::max() / 2;
    if (!full && !roll_) return absl::OkStatus();
    if (position_.index->summary().empty()) {
      RETURN_IF_ERROR(folder_.Unlink(position_.active->name()));
      RETURN_IF_ERROR(folder_.Sync());
      segments_.PopBack();
      position_.active.reset();
    } else {
      RETURN_IF_ERROR(Seal());
    }
  }
  return Begin();
}

BatchHeader SegmentWriter::NextHeader() const {
  return {.log_id = log_id_,
          .segment_id = position_.active->id(),
          .batch_number = position_.next_batch,
          .previous_crc = position_.previous_crc};
}

absl::Status SegmentWriter::Commit(const BatchHeader& header, const std::string& bytes) {
  RETURN_IF_ERROR(SetAside(bytes.size()));
  const std::string_view pieces[] = {bytes, ZerosBehind(bytes.size())};
  if (absl::Status written = position_.file->WriteAt(position_.durable_offset, pieces);
      !written.ok()) {
    return TakeBack(std::move(written));
  }
  if (const absl::Status synced = position_.file->Sync(); !synced.ok()) {
    // Whatever the reason, even a lack of space: what the disk holds is unknown now.
    return absl::DataLossError(fmt::format("sync failed: {}", std::string(synced.message())));
  }
  position_.index->AddBatch(header, position_.durable_offset, bytes);
  position_.durable_offset += bytes.size();
  position_.next_sequence = header.last_sequence() + 1;
  position_.next_batch = header.batch_number + 1;
  position_.previous_crc = header.header_crc;
  return absl::OkStatus();
}

absl::Status SegmentWriter::SetAside(std::uint64_t size) {
  const std::uint64_t needed = position_.durable_offset + size;
  if (set_aside_bytes_ == 0 || needed <= allocated_) return absl::OkStatus();
  // Writing into space that the file has already costs one write to the device less a sync, for
  // the file's size does not change with it.
  const std::uint64_t wanted =
      std::max(needed, std::min(needed + set_aside_bytes_, segment_bytes_));
  if (absl::Status allocated = position_.file->Allocate(wanted); !allocated.ok()) {
    return TakeBack(std::move(allocated));
  }
  allocated_ = wanted;
  return absl::OkStatus();
}

std::string_view SegmentWriter::ZerosBehind(std::uint64_t size) {
  static const std::string zeros(kZerosAhead, '\0');
  const std::uint64_t end = position_.durable_offset + size;
  if (end <= zeroed_ || end >= allocated_ || size > kZerosAhead / 4) return {};
  const std::string_view written =
      std::string_view(zeros).substr(0, std::min<std::uint64_t>(kZerosAhead, allocated_ - end));
  zeroed_ = end + written.size();
  return written;
}

void SegmentWriter::ForgetSpace() {
  allocated_ = 0;
  zeroed_ = 0;
}

absl::Status SegmentWriter::TakeBack(absl::Status why) {
  ForgetSpace();
  if (!absl::IsResourceExhausted(why)) return why;
  if (const absl::Status cut = position_.file->Truncate(position_.durable_offset); !cut.ok()) {
    return absl::DataLossError(
        fmt::format("the disk is full and a partial write stays: {}", std::string(cut.message())));
  }
  return why;
}

absl::Status SegmentWriter::Seal() {
  // The footer ends the file.
  RETURN_IF_ERROR(position_.file->Truncate(position_.durable_offset));
  ForgetSpace();
  const std::string footer = position_.index->EncodeFooter();
  const std::string_view pieces[] = {footer};
  if (absl::Status written = position_.file->WriteAt(position_.durable_offset, pieces);
      !written.ok()) {
    return TakeBack(std::move(written));
  }
  if (const absl::Status synced = position_.file->Sync(); !synced.ok()) {
    return absl::DataLossError(fmt::format("sync failed: {}", std::string(synced.message())));
  }
  const std::uint64_t file_bytes = position_.durable_offset + footer.size();
  SegmentTrailer trailer;
  ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(*position_.file, file_bytes, trailer));
  if (verdict != TrailerVerdict::kValid) {
    return absl::DataLossError("the footer just written is damaged");
  }
  position_.active->Seal(trailer, file_bytes);
  position_.active.reset();
  position_.index.reset();
  position_.file.reset();
  return absl::OkStatus();
}

absl::Status SegmentWriter::Begin() {
  const SegmentIdentity identity{log_id_, position_.next_sequence};
  const std::string name = SegmentFileName(identity.segment_id);
  auto created = folder_.Create(name);
  if (absl::IsAlreadyExists(created.status())) {
    // Left by an earlier try that failed before anything was stored.
    created = folder_.Open(name, OpenMode::kReadWrite);
    if (created.ok()) RETURN_IF_ERROR((*created)->Truncate(0));
  }
  RETURN_IF_ERROR(created.status());
  // Before the first batch: a file that a power cut can remove must not hold anything acknowledged.
  if (const absl::Status synced = folder_.Sync(); !synced.ok()) {
    return absl::DataLossError(
        fmt::format("sync of the folder failed: {}", std::string(synced.message())));
  }
  position_.file = *std::move(created);
  position_.index = std::make_shared<ActiveIndex>(log_id_, identity.segment_id);
  position_.durable_offset = 0;
  ForgetSpace();
  position_.active =
      std::make_shared<Segment>(folder_, lost_, identity, position_.file, position_.index);
  segments_.PushBack(position_.active);
  roll_ = false;
  return absl::OkStatus();
}

absl::Status SegmentWriter::SkipTo(Sequence floor) {
  if (floor < position_.next_sequence) return absl::OkStatus();
  position_.next_sequence = floor + 1;
  roll_ = true;
  // At once, so that the gap between the files' names keeps the loss known.
  return Prepare();
}

absl::Status SegmentWriter::Reopen() {
  if (position_.active == nullptr) return folder_.Sync();
  ASSIGN_OR_RETURN(std::shared_ptr<File> file,
                   folder_.Open(position_.active->name(), OpenMode::kReadWrite));
  RETURN_IF_ERROR(file->Truncate(position_.durable_offset));
  ForgetSpace();
  ASSIGN_OR_RETURN(const SegmentScan scan, ScanSegment(*file, position_.durable_offset,
                                                       position_.active->identity(), nullptr));
  for (const ScanHole& hole : scan.holes) {
    lost_.Add({hole.first, hole.last, position_.active->name(), "checksum mismatch"});
  }
  const SegmentSummary summary = position_.index->summary();
  const Sequence verified =
      scan.last.has_value() ? scan.last->last_sequence() : position_.active->id() - 1;
  if (!summary.empty() && verified < summary.last_sequence) {
    return absl::DataLossError(fmt::format("{} is intact only up to sequence {}, not {}",
                                           position_.active->name(), verified,
                                           summary.last_sequence));
  }
  if (scan.last.has_value()) {
    // The cut can share its page with the last batch: written again, the page is dirty and the sync
    // covers it.
    std::string batch(scan.valid_end - scan.last_offset, '\0');
    ASSIGN_OR_RETURN(const std::size_t got,
                     file->ReadAt(scan.last_offset, batch.data(), batch.size()));
    const std::string_view pieces[] = {std::string_view(batch).substr(0, got)};
    RETURN_IF_ERROR(file->WriteAt(scan.last_offset, pieces));
  }
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(folder_.Sync());
  position_.active->ReplaceFile(file);
  position_.file = std::move(file);
  return absl::OkStatus();
}

}  // namespace penstock::broker
