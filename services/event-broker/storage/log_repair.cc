#include "services/event-broker/storage/log_repair.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"

namespace penstock::broker {
namespace {

constexpr std::uint64_t kCopyBytes = 1 << 20;

// Writes intact batches one behind the other into a new file.
class Compactor final : public ScanVisitor {
 public:
  Compactor(const SegmentIdentity& identity, File& out)
      : index(identity.log_id, identity.segment_id), out_(out) {}

  absl::Status OnBatch(const BatchHeader& header, std::uint64_t, std::string_view bytes) override {
    const std::string_view pieces[] = {bytes};
    RETURN_IF_ERROR(out_.WriteAt(end, pieces));
    index.AddBatch(header, end, bytes);
    end += bytes.size();
    return absl::OkStatus();
  }
  void OnHole(const ScanHole& hole) override {
    if (hole.first <= hole.last) index.AddHole(hole.first, hole.last);
    if (hole.bytes > 0) damaged.push_back(hole);
  }

  ActiveIndex index;
  std::uint64_t end = 0;
  std::vector<ScanHole> damaged;

 private:
  File& out_;
};

class Repairer {
 public:
  Repairer(Folder& folder, const Clock& clock, const RepairOptions& options)
      : folder_(folder), clock_(clock), options_(options) {}

  absl::StatusOr<RepairReport> Run();

 private:
  absl::Status Consider(const InspectedSegment& segment, bool newest);
  absl::Status Rewrite(const InspectedSegment& segment, bool newest);
  absl::Status CutTail(const InspectedSegment& segment, const Finding& torn);
  absl::Status MoveAway(const InspectedSegment& segment);
  absl::Status KeepAside(const InspectedSegment& segment, File& file, const ScanHole& damage,
                         std::string_view what);
  // Remembers that the sequences up to `last` were given out.
  absl::Status BeginBehind(Sequence last);
  absl::Status WriteSmall(const std::string& name, const std::string& text);
  std::vector<Finding> FindingsOf(const std::string& name) const;
  void Act(std::string sentence) { report_.actions.push_back(std::move(sentence)); }

  Folder& folder_;
  const Clock& clock_;
  const RepairOptions& options_;
  RepairReport report_;
};

absl::StatusOr<RepairReport> Repairer::Run() {
  ASSIGN_OR_RETURN(report_.before,
                   InspectLog(folder_, {.deep = true, .progress = options_.progress}));
  for (const Finding& finding : report_.before.findings) {
    if (finding.kind == FindingKind::kLostRange || finding.kind == FindingKind::kMalformedBatch) {
      report_.left.push_back(finding.Text());
    }
    if (finding.kind != FindingKind::kDamagedManifest) continue;
    Act(fmt::format("{}: written again from the segments", kManifestName));
    if (!options_.dry_run) RETURN_IF_ERROR(WriteManifest(folder_, report_.before.log_id));
  }
  const std::vector<InspectedSegment>& segments = report_.before.segments;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    RETURN_IF_ERROR(Consider(segments[i], i + 1 == segments.size()));
  }
  return std::move(report_);
}

absl::Status Repairer::Consider(const InspectedSegment& segment, bool newest) {
  bool rewrite = false;
  for (const Finding& finding : FindingsOf(segment.name)) {
    switch (finding.kind) {
      case FindingKind::kForeignSegment: return MoveAway(segment);
      case FindingKind::kDamagedRange:
        Act(
            fmt::format("{}: the {} damaged bytes at offset {} are moved aside; sequences {} to {} "
                        "stay lost",
                        segment.name, finding.bytes, finding.offset, finding.first, finding.last));
        rewrite = true;
        break;
      case FindingKind::kDamagedFooter:
      case FindingKind::kMissingFooter:
        Act(fmt::format("{}: the footer is written again", segment.name));
        rewrite = true;
        break;
      case FindingKind::kTornTail:
        // Cut by the rewriting when there is one.
        Act(fmt::format("{}: the {} bytes behind the last whole batch are moved aside",
                        segment.name, finding.bytes));
        break;
      default: break;
    }
  }
  if (options_.dry_run) return absl::OkStatus();
  if (rewrite) return Rewrite(segment, newest);
  for (const Finding& finding : FindingsOf(segment.name)) {
    if (finding.kind == FindingKind::kTornTail) return CutTail(segment, finding);
  }
  return absl::OkStatus();
}

absl::Status Repairer::Rewrite(const InspectedSegment& segment, bool newest) {
  const SegmentIdentity identity{report_.before.log_id, segment.id};
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, folder_.Open(segment.name, OpenMode::kRead));
  std::uint64_t end = segment.file_bytes;
  SegmentTrailer trailer;
  ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(*file, segment.file_bytes, trailer));
  if (verdict == TrailerVerdict::kValid) end = trailer.summary.batches_end;
  const std::string temporary = segment.name + ".tmp";
  ASSIGN_OR_RETURN(const std::unique_ptr<File> fresh, CreateOrEmpty(folder_, temporary));
  Compactor compactor(identity, *fresh);
  ASSIGN_OR_RETURN(const SegmentScan scan, ScanSegment(*file, end, identity, &compactor));
  for (const ScanHole& damage : compactor.damaged) {
    RETURN_IF_ERROR(KeepAside(segment, *file, damage, "checksum mismatch"));
  }
  const Sequence intact = scan.last.has_value() ? scan.last->last_sequence() : segment.id - 1;
  if (scan.valid_end < end) {
    // Else only what is left of a footer lies behind the last intact event.
    for (const Finding& finding : FindingsOf(segment.name)) {
      const bool torn = finding.kind == FindingKind::kTornTail;
      if (!torn && finding.kind != FindingKind::kDamagedRange) continue;
      if (finding.offset != scan.valid_end) continue;
      RETURN_IF_ERROR(KeepAside(segment, *file,
                                {.first = finding.first,
                                 .last = torn ? kNoSequence : finding.last,
                                 .offset = scan.valid_end,
                                 .bytes = torn ? finding.bytes : end - scan.valid_end},
                                torn ? "an unfinished write" : "checksum mismatch"));
    }
  }
  if (compactor.end > 0 && (!newest || segment.sealed)) {
    const std::string footer = compactor.index.EncodeFooter();
    const std::string_view pieces[] = {footer};
    RETURN_IF_ERROR(fresh->WriteAt(compactor.end, pieces));
  }
  RETURN_IF_ERROR(fresh->Sync());
  if (newest && segment.sealed && intact < segment.last) RETURN_IF_ERROR(BeginBehind(segment.last));
  RETURN_IF_ERROR(folder_.Rename(temporary, segment.name));
  return folder_.Sync();
}

absl::Status Repairer::CutTail(const InspectedSegment& segment, const Finding& torn) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   folder_.Open(segment.name, OpenMode::kReadWrite));
  RETURN_IF_ERROR(KeepAside(segment, *file, {.offset = torn.offset, .bytes = torn.bytes},
                            "an unfinished write"));
  // The newest, unsealed segment is shared with no backup.
  RETURN_IF_ERROR(file->Truncate(torn.offset));
  return file->Sync();
}

absl::Status Repairer::MoveAway(const InspectedSegment& segment) {
  const std::string aside = fmt::format("{}.0.corrupt", segment.name);
  Act(fmt::format("{}: belongs to another log and is renamed to {}", segment.name, aside));
  if (options_.dry_run) return absl::OkStatus();
  RETURN_IF_ERROR(folder_.Rename(segment.name, aside));
  return folder_.Sync();
}

absl::Status Repairer::KeepAside(const InspectedSegment& segment, File& file,
                                 const ScanHole& damage, std::string_view what) {
  const std::string name = fmt::format("{}.{}.corrupt", segment.name, damage.offset);
  ASSIGN_OR_RETURN(const std::unique_ptr<File> out, CreateOrEmpty(folder_, name));
  std::string buffer;
  for (std::uint64_t done = 0; done < damage.bytes; done += buffer.size()) {
    buffer.resize(std::min(kCopyBytes, damage.bytes - done));
    ASSIGN_OR_RETURN(const std::size_t got,
                     file.ReadAt(damage.offset + done, buffer.data(), buffer.size()));
    buffer.resize(got);
    if (got == 0) return absl::DataLossError(segment.name + " shrank while it was read");
    const std::string_view pieces[] = {buffer};
    RETURN_IF_ERROR(out->WriteAt(done, pieces));
  }
  RETURN_IF_ERROR(out->Sync());
  std::string note =
      fmt::format("{} bytes from offset {} of {}, taken out by `penstock log repair` at {}: {}.\n",
                  damage.bytes, damage.offset, segment.name, FormatRfc3339(clock_.Wall()), what);
  if (damage.last != kNoSequence && damage.first <= damage.last) {
    note += fmt::format("They held the sequences {} to {}.\n", damage.first, damage.last);
  }
  RETURN_IF_ERROR(WriteSmall(name + ".txt", note));
  return folder_.Sync();
}

absl::Status Repairer::BeginBehind(Sequence last) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   CreateOrEmpty(folder_, SegmentFileName(last + 1)));
  RETURN_IF_ERROR(file->Sync());
  return folder_.Sync();
}

absl::Status Repairer::WriteSmall(const std::string& name, const std::string& text) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, CreateOrEmpty(folder_, name));
  const std::string_view pieces[] = {text};
  RETURN_IF_ERROR(file->WriteAt(0, pieces));
  return file->Sync();
}

std::vector<Finding> Repairer::FindingsOf(const std::string& name) const {
  std::vector<Finding> found;
  for (const Finding& finding : report_.before.findings) {
    if (finding.file == name) found.push_back(finding);
  }
  return found;
}

}  // namespace

absl::StatusOr<RepairReport> RepairLog(Folder& folder, const Clock& clock,
                                       const RepairOptions& options) {
  return Repairer(folder, clock, options).Run();
}

}  // namespace penstock::broker
