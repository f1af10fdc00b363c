// Recovery: see FORMAT.md for the cases.
#include <fmt/format.h>

#include <cstring>

#include "libs/base/status.h"
#include "services/event-broker/storage/keyed_hash.h"
#include "services/event-broker/storage/log_folder.h"

namespace penstock::broker {
namespace {

// One segment file as recovery found it.
struct Found {
  SegmentIdentity identity;
  std::string name;
  std::uint64_t file_bytes = 0;
  bool sealed = false;
  SegmentTrailer trailer;  // When sealed.
  std::vector<std::pair<Sequence, Sequence>> holes;
  SegmentScan scan;                    // When not.
  std::shared_ptr<File> file;          // When not.
  std::shared_ptr<ActiveIndex> index;  // When not.

  SegmentSummary summary() const { return sealed ? trailer.summary : index->summary(); }
  Sequence next_sequence() const {
    return summary().empty() ? identity.segment_id : summary().last_sequence + 1;
  }
};

class Recovery {
 public:
  Recovery(Folder& folder, SegmentSet& segments, LostRanges& lost, RecoveryNotes& notes)
      : folder_(folder), segments_(segments), lost_(lost), notes_(notes) {}

  absl::StatusOr<RecoveredLog> Run() {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_.List());
    RETURN_IF_ERROR(TakeLogId(names));
    for (const std::string& name : names) {
      if (ParseSegmentFileName(name).has_value()) RETURN_IF_ERROR(Inspect(name));
    }
    RETURN_IF_ERROR(ProbeWritable(names));
    RETURN_IF_ERROR(EnsureManifest());
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const bool newest = i + 1 == found_.size();
      const Sequence behind = newest ? kNoSequence : found_[i + 1].identity.segment_id;
      FenceDamage(found_[i], behind);
      if (newest) {
        RETURN_IF_ERROR(SettleNewest(found_[i]));
      } else {
        RETURN_IF_ERROR(SettleOlder(found_[i], behind));
      }
    }
    SetPosition();
    return std::move(log_);
  }

 private:
  void Note(std::string sentence) { notes_.sentences.push_back(std::move(sentence)); }

  absl::Status TakeLogId(const std::vector<std::string>& names);
  absl::Status Inspect(const std::string& name);
  absl::Status ProbeWritable(const std::vector<std::string>& names);
  absl::Status EnsureManifest();
  void FenceDamage(const Found& found, Sequence behind);
  absl::Status SettleOlder(Found& found, Sequence behind);
  absl::Status SettleNewest(Found& found);
  absl::Status MakeTailDurable(Found& found);
  void SetPosition();
  void AddInMemory(const Found& found) {
    segments_.PushBack(
        std::make_shared<Segment>(folder_, lost_, found.identity, found.file, found.index));
  }
  void AddSealed(const Found& found) {
    segments_.PushBack(
        std::make_shared<Segment>(folder_, lost_, found.identity, found.trailer, found.file_bytes));
  }

  Folder& folder_;
  SegmentSet& segments_;
  LostRanges& lost_;
  RecoveryNotes& notes_;
  RecoveredLog log_;
  FoundLogId found_id_;
  bool full_ = false;  // No space for what recovery would like to write.
  std::vector<Found> found_;
};

absl::Status Recovery::TakeLogId(const std::vector<std::string>& names) {
  ASSIGN_OR_RETURN(found_id_, FindLogId(folder_, names));
  if (found_id_.manifest_damaged) {
    Note(fmt::format("{} is damaged and is written again", kManifestName));
  }
  log_.log_id = found_id_.id;
  if (found_id_.known) return absl::OkStatus();
  const HashKey random = HashKey::Random();
  std::memcpy(log_.log_id.data(), &random, log_.log_id.size());
  return absl::OkStatus();
}

absl::Status Recovery::Inspect(const std::string& name) {
  Found found;
  found.name = name;
  found.identity = {log_.log_id, *ParseSegmentFileName(name)};
  ASSIGN_OR_RETURN(found.file, folder_.Open(name, OpenMode::kRead));
  ASSIGN_OR_RETURN(found.file_bytes, found.file->Size());
  ASSIGN_OR_RETURN(const TrailerVerdict verdict,
                   ReadTrailer(*found.file, found.file_bytes, found.trailer));
  if (verdict == TrailerVerdict::kNewer) return NewerFormatError(name);
  if (verdict == TrailerVerdict::kValid) {
    if (found.trailer.log_id != log_.log_id ||
        found.trailer.summary.segment_id != found.identity.segment_id) {
      return absl::FailedPreconditionError(fmt::format("{} belongs to another log", name));
    }
    found.sealed = true;
    auto holes = ReadHoles(*found.file, found.trailer);
    if (holes.ok()) found.holes = *std::move(holes);
    found.file.reset();
  } else {
    found.index = std::make_shared<ActiveIndex>(log_.log_id, found.identity.segment_id);
    ASSIGN_OR_RETURN(found.scan,
                     IndexSegment(*found.file, found.file_bytes, found.identity, *found.index));
    if (found.scan.newer_format) return NewerFormatError(name);
    for (const ScanHole& hole : found.scan.holes) found.holes.emplace_back(hole.first, hole.last);
  }
  found_.push_back(std::move(found));
  return absl::OkStatus();
}

absl::Status Recovery::ProbeWritable(const std::vector<std::string>& names) {
  constexpr char kProbe[] = "PROBE.tmp";
  auto probe = folder_.Create(kProbe);
  if (absl::IsAlreadyExists(probe.status())) probe = folder_.Open(kProbe, OpenMode::kReadWrite);
  if (absl::IsPermissionDenied(probe.status())) {
    log_.read_only = true;
    Note("the folder cannot be written; the log is open for reading only");
    return absl::OkStatus();
  }
  if (absl::IsResourceExhausted(probe.status())) {
    full_ = true;
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(probe.status());
  RETURN_IF_ERROR(folder_.Unlink(kProbe));
  for (const std::string& name : names) {
    if (name.ends_with(".tmp") && name != kProbe) RETURN_IF_ERROR(folder_.Unlink(name));
  }
  return folder_.Sync();
}

absl::Status Recovery::EnsureManifest() {
  if (found_id_.in_manifest) return absl::OkStatus();
  if (log_.read_only && !found_id_.known) {
    return absl::FailedPreconditionError("the folder holds no log and cannot be written");
  }
  if (log_.read_only || full_) return absl::OkStatus();
  return WriteManifest(folder_, log_.log_id);
}

void Recovery::FenceDamage(const Found& found, Sequence behind) {
  const auto lose = [&](Sequence first, Sequence last, std::string_view reason) {
    if (!lost_.Add({first, last, found.name, std::string(reason)})) return;
    Note(fmt::format("sequences {} to {} of {} are lost: {}", first, last, found.name, reason));
  };
  for (const auto& [first, last] : found.holes) lose(first, last, "checksum mismatch");
  if (behind > found.next_sequence()) {
    lose(found.next_sequence(), behind - 1, "missing before the next segment");
  }
}

absl::Status Recovery::SettleOlder(Found& found, Sequence behind) {
  if (found.sealed) {
    AddSealed(found);
    return absl::OkStatus();
  }
  // Only a segment of which nothing is missing gets a footer; damage is left as it is, for repair.
  const bool whole = found.scan.holes.empty() && found.next_sequence() == behind;
  if (!whole || found.summary().empty() || log_.read_only || full_) {
    AddInMemory(found);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   folder_.Open(found.name, OpenMode::kReadWrite));
  const std::string footer = found.index->EncodeFooter();
  const std::string_view pieces[] = {footer};
  RETURN_IF_ERROR(file->Truncate(found.scan.valid_end));
  const absl::Status written = file->WriteAt(found.scan.valid_end, pieces);
  if (absl::IsResourceExhausted(written)) {
    RETURN_IF_ERROR(file->Truncate(found.scan.valid_end));
    AddInMemory(found);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(written);
  RETURN_IF_ERROR(file->Sync());
  found.file_bytes = found.scan.valid_end + footer.size();
  ASSIGN_OR_RETURN(const TrailerVerdict verdict,
                   ReadTrailer(*file, found.file_bytes, found.trailer));
  if (verdict != TrailerVerdict::kValid) {
    return absl::DataLossError(fmt::format("{}: the footer just written is damaged", found.name));
  }
  ++notes_.footers_rebuilt;
  Note(fmt::format("{} had no footer; it was rebuilt", found.name));
  found.sealed = true;
  AddSealed(found);
  return absl::OkStatus();
}

absl::Status Recovery::SettleNewest(Found& found) {
  if (found.sealed) {
    AddSealed(found);
    return absl::OkStatus();
  }
  if (!log_.read_only) RETURN_IF_ERROR(MakeTailDurable(found));
  AddInMemory(found);
  WritePosition& position = log_.position;
  position.active = segments_.Find(found.identity.segment_id);
  position.index = found.index;
  position.file = found.file;
  position.durable_offset = found.scan.valid_end;
  return absl::OkStatus();
}

absl::Status Recovery::MakeTailDurable(Found& found) {
  ASSIGN_OR_RETURN(found.file, folder_.Open(found.name, OpenMode::kReadWrite));
  const std::uint64_t end = found.scan.valid_end;
  ASSIGN_OR_RETURN(const std::uint64_t tail_end, TailEnd(*found.file, end, found.file_bytes));
  if (end < tail_end) {
    ++notes_.torn_tails_cut;
    Note(fmt::format("{} ended in {} bytes of an unfinished write; they were cut off", found.name,
                     tail_end - end));
  }
  if (end < found.file_bytes) RETURN_IF_ERROR(found.file->Truncate(end));
  // The last batch may have been read from the page cache after a failed sync of an earlier
  // process. Written again and synced it is on the disk for certain.
  if (found.scan.last.has_value()) {
    std::string batch(end - found.scan.last_offset, '\0');
    ASSIGN_OR_RETURN(const std::size_t got,
                     found.file->ReadAt(found.scan.last_offset, batch.data(), batch.size()));
    if (got != batch.size()) return absl::DataLossError(found.name + " shrank while it was read");
    const std::string_view pieces[] = {batch};
    RETURN_IF_ERROR(found.file->WriteAt(found.scan.last_offset, pieces));
  }
  return found.file->Sync();
}

void Recovery::SetPosition() {
  if (found_.empty()) return;
  WritePosition& position = log_.position;
  position.next_sequence = found_.back().next_sequence();
  for (auto found = found_.rbegin(); found != found_.rend(); ++found) {
    const SegmentSummary summary = found->summary();
    if (summary.empty()) continue;
    position.next_batch = summary.last_batch + 1;
    position.previous_crc = summary.last_batch_crc;
    return;
  }
}

}  // namespace

absl::StatusOr<RecoveredLog> RecoverLog(Folder& folder, SegmentSet& segments, LostRanges& lost,
                                        RecoveryNotes& notes) {
  return Recovery(folder, segments, lost, notes).Run();
}

}  // namespace penstock::broker
