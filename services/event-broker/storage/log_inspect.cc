#include "services/event-broker/storage/log_inspect.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/status.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"

namespace penstock::broker {
namespace {

constexpr std::uint64_t kStepBytes = 8u << 20;

// Counts and checks the records of intact batches, and keeps the index that they should have.
class Checker final : public ScanVisitor {
 public:
  Checker(const SegmentIdentity& identity, const std::string& name, LogInspection& out)
      : index(identity.log_id, identity.segment_id), name_(name), out_(out) {}

  absl::Status OnBatch(const BatchHeader& header, std::uint64_t offset,
                       std::string_view bytes) override {
    RecordCursor cursor(header, bytes.substr(kBatchHeaderBytes));
    RecordView record;
    while (cursor.Next(record)) {
    }
    if (!cursor.complete()) {
      out_.findings.push_back({.kind = FindingKind::kMalformedBatch,
                               .file = name_,
                               .first = header.first_sequence,
                               .last = header.last_sequence(),
                               .offset = offset,
                               .bytes = header.total_bytes()});
    }
    index.AddBatch(header, offset, bytes);
    return absl::OkStatus();
  }
  void OnHole(const ScanHole& hole) override {
    if (hole.first <= hole.last) index.AddHole(hole.first, hole.last);
    if (hole.bytes == 0 && hole.first > hole.last) return;
    out_.findings.push_back(
        {.kind = hole.bytes > 0 ? FindingKind::kDamagedRange : FindingKind::kLostRange,
         .file = name_,
         .first = hole.first,
         .last = hole.last,
         .offset = hole.offset,
         .bytes = hole.bytes});
  }

  ActiveIndex index;

 private:
  const std::string& name_;
  LogInspection& out_;
};

class Inspector {
 public:
  Inspector(Folder& folder, const InspectOptions& options) : folder_(folder), options_(options) {}

  absl::StatusOr<LogInspection> Run();

 private:
  absl::Status Inspect(const std::string& name, bool newest);
  absl::Status InspectSealed(File& file, const SegmentTrailer& trailer, InspectedSegment& segment);
  absl::Status InspectUnsealed(File& file, bool newest, InspectedSegment& segment);
  absl::StatusOr<SegmentScan> Scan(File& file, std::uint64_t end, Checker& checker);
  void Add(FindingKind kind, const std::string& file, Sequence first = 0, Sequence last = 0,
           std::uint64_t offset = 0, std::uint64_t bytes = 0) {
    out_.findings.push_back({kind, file, first, last, offset, bytes});
  }
  void FindGaps();
  void Report(std::uint64_t bytes_in_file);

  Folder& folder_;
  const InspectOptions& options_;
  LogInspection out_;
  InspectProgress progress_;
};

absl::StatusOr<LogInspection> Inspector::Run() {
  ASSIGN_OR_RETURN(const std::vector<std::string> all, folder_.List());
  ASSIGN_OR_RETURN(const FoundLogId id, FindLogId(folder_, all));
  if (!id.known) return absl::NotFoundError("the folder holds no event log");
  out_.log_id = id.id;
  if (!id.in_manifest) Add(FindingKind::kDamagedManifest, kManifestName);
  std::vector<std::string> names;
  for (const std::string& name : all) {
    if (!ParseSegmentFileName(name).has_value()) continue;
    names.push_back(name);
    const auto file = folder_.Open(name, OpenMode::kRead);
    if (file.ok()) progress_.bytes += (*file)->Size().value_or(0);
  }
  progress_.files = names.size();
  for (std::size_t i = 0; i < names.size(); ++i) {
    progress_.file = names[i];
    const absl::Status status = Inspect(names[i], i + 1 == names.size());
    // Retention removes the oldest ones of a log that is in use.
    const bool removed = options_.in_use && absl::IsNotFound(status) && out_.segments.empty();
    if (!status.ok() && !removed) return status;
    ++progress_.files_done;
    if (!out_.segments.empty()) progress_.bytes_done += out_.segments.back().file_bytes;
    Report(0);
  }
  FindGaps();
  return std::move(out_);
}

absl::Status Inspector::Inspect(const std::string& name, bool newest) {
  InspectedSegment segment{.name = name, .id = *ParseSegmentFileName(name)};
  segment.last = segment.id - 1;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, folder_.Open(name, OpenMode::kRead));
  ASSIGN_OR_RETURN(segment.file_bytes, file->Size());
  SegmentTrailer trailer;
  ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(*file, segment.file_bytes, trailer));
  if (verdict == TrailerVerdict::kNewer) return NewerFormatError(name);
  if (verdict == TrailerVerdict::kValid) {
    if (trailer.log_id != out_.log_id || trailer.summary.segment_id != segment.id) {
      Add(FindingKind::kForeignSegment, name, 0, 0, 0, segment.file_bytes);
    } else {
      RETURN_IF_ERROR(InspectSealed(*file, trailer, segment));
    }
  } else {
    RETURN_IF_ERROR(InspectUnsealed(*file, newest, segment));
  }
  out_.segments.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status Inspector::InspectSealed(File& file, const SegmentTrailer& trailer,
                                      InspectedSegment& segment) {
  const SegmentSummary& summary = trailer.summary;
  segment.sealed = true;
  segment.last = summary.last_sequence;
  segment.events = summary.events;
  segment.time_min = summary.time_min;
  segment.time_max = summary.time_max;
  absl::Status footer = VerifyFooter(file, segment.file_bytes);
  if (!footer.ok() && !absl::IsDataLoss(footer)) return footer;
  if (!options_.deep) {
    const auto holes = ReadHoles(file, trailer);
    for (const auto& [first, last] : holes.ok() ? *holes : decltype(holes)::value_type()) {
      Add(FindingKind::kLostRange, segment.name, first, last);
    }
  } else {
    Checker checker({out_.log_id, segment.id}, segment.name, out_);
    ASSIGN_OR_RETURN(const SegmentScan scan, Scan(file, summary.batches_end, checker));
    const Sequence last =
        checker.index.summary().empty() ? segment.id - 1 : checker.index.summary().last_sequence;
    if (last < summary.last_sequence) {
      Add(FindingKind::kDamagedRange, segment.name, last + 1, summary.last_sequence, scan.valid_end,
          summary.batches_end - scan.valid_end);
    }
    segment.events = checker.index.summary().events;
    const bool whole = last == summary.last_sequence &&
                       std::none_of(scan.holes.begin(), scan.holes.end(),
                                    [](const ScanHole& hole) { return hole.bytes > 0; });
    if (footer.ok() && whole) {
      // What the footer says must be what the events say.
      const std::string wanted = checker.index.EncodeFooter();
      std::string stored(segment.file_bytes - summary.batches_end, '\0');
      ASSIGN_OR_RETURN(const std::size_t got,
                       file.ReadAt(summary.batches_end, stored.data(), stored.size()));
      stored.resize(got);
      if (stored != wanted) footer = absl::DataLossError("the footer does not match");
    }
  }
  if (!footer.ok()) {
    Add(FindingKind::kDamagedFooter, segment.name, 0, 0, summary.batches_end,
        segment.file_bytes - summary.batches_end);
  }
  return absl::OkStatus();
}

absl::Status Inspector::InspectUnsealed(File& file, bool newest, InspectedSegment& segment) {
  Checker checker({out_.log_id, segment.id}, segment.name, out_);
  ASSIGN_OR_RETURN(const SegmentScan scan, Scan(file, segment.file_bytes, checker));
  if (scan.newer_format) return NewerFormatError(segment.name);
  const SegmentSummary summary = checker.index.summary();
  if (!summary.empty()) {
    segment.last = summary.last_sequence;
    segment.events = summary.events;
    segment.time_min = summary.time_min;
    segment.time_max = summary.time_max;
  }
  ASSIGN_OR_RETURN(const std::uint64_t tail_end, TailEnd(file, scan.valid_end, segment.file_bytes));
  const std::uint64_t rest = tail_end - scan.valid_end;
  if (newest) {
    // While a broker writes, the last batch may be half there.
    if (rest > 0 && !options_.in_use) {
      Add(FindingKind::kTornTail, segment.name, 0, 0, scan.valid_end, rest);
    }
  } else if (!summary.empty() || rest > 0) {
    Add(FindingKind::kMissingFooter, segment.name, 0, 0, scan.valid_end, rest);
  }
  return absl::OkStatus();
}

absl::StatusOr<SegmentScan> Inspector::Scan(File& file, std::uint64_t end, Checker& checker) {
  SegmentScanner scanner(file, end, {out_.log_id, *ParseSegmentFileName(progress_.file)}, &checker);
  while (true) {
    const std::uint64_t before = scanner.offset();
    ASSIGN_OR_RETURN(const bool more, scanner.Step(kStepBytes));
    out_.bytes_read += scanner.offset() - before;
    Report(scanner.offset());
    if (!more) return scanner.scan();
  }
}

void Inspector::FindGaps() {
  for (std::size_t i = 0; i + 1 < out_.segments.size(); ++i) {
    const InspectedSegment& segment = out_.segments[i];
    const Sequence next = out_.segments[i + 1].id;
    if (segment.last + 1 >= next) continue;
    // The bytes behind the last intact event of an unsealed segment were its missing events.
    for (Finding& finding : out_.findings) {
      if (finding.file != segment.name || finding.kind != FindingKind::kMissingFooter) continue;
      if (finding.bytes == 0) continue;
      finding.kind = FindingKind::kDamagedRange;
      finding.first = segment.last + 1;
      finding.last = next - 1;
    }
    const auto told = [&](const Finding& finding) {
      return finding.file == segment.name && finding.kind == FindingKind::kDamagedRange &&
             finding.last == next - 1;
    };
    if (std::any_of(out_.findings.begin(), out_.findings.end(), told)) continue;
    Add(FindingKind::kLostRange, segment.name, segment.last + 1, next - 1);
  }
}

void Inspector::Report(std::uint64_t bytes_in_file) {
  if (!options_.progress) return;
  InspectProgress now = progress_;
  now.bytes_done += bytes_in_file;
  options_.progress(now);
}

}  // namespace

std::string_view FindingKindName(FindingKind kind) {
  switch (kind) {
    case FindingKind::kTornTail: return "TORN_TAIL";
    case FindingKind::kMissingFooter: return "MISSING_FOOTER";
    case FindingKind::kDamagedRange: return "DAMAGED_RANGE";
    case FindingKind::kLostRange: return "LOST_RANGE";
    case FindingKind::kDamagedFooter: return "DAMAGED_FOOTER";
    case FindingKind::kDamagedManifest: return "DAMAGED_MANIFEST";
    case FindingKind::kForeignSegment: return "FOREIGN_SEGMENT";
    case FindingKind::kMalformedBatch: return "MALFORMED_BATCH";
  }
  return "UNKNOWN";
}

std::string Finding::Text() const {
  const std::string where = fmt::format("{}: ", file);
  const std::string range =
      first == kNoSequence || first > last ? "" : fmt::format(" (sequences {} to {})", first, last);
  switch (kind) {
    case FindingKind::kTornTail:
      return fmt::format("{}{} bytes of an unfinished write at the end; the next start cuts them",
                         where, bytes);
    case FindingKind::kMissingFooter:
      return fmt::format("{}has no footer; the next start writes it", where);
    case FindingKind::kDamagedRange:
      return fmt::format("{}{} bytes at offset {} are damaged{}", where, bytes, offset, range);
    case FindingKind::kLostRange: return fmt::format("{}events are missing{}", where, range);
    case FindingKind::kDamagedFooter:
      return fmt::format("{}the footer is damaged; the events are intact", where);
    case FindingKind::kDamagedManifest: return fmt::format("{}is missing or damaged", where);
    case FindingKind::kForeignSegment: return fmt::format("{}belongs to another log", where);
    case FindingKind::kMalformedBatch:
      return fmt::format("{}the batch at offset {} has intact checksums and wrong content{}", where,
                         offset, range);
  }
  return where;
}

std::uint64_t LogInspection::events() const {
  std::uint64_t sum = 0;
  for (const InspectedSegment& segment : segments) sum += segment.events;
  return sum;
}

std::uint64_t LogInspection::bytes() const {
  std::uint64_t sum = 0;
  for (const InspectedSegment& segment : segments) sum += segment.file_bytes;
  return sum;
}

bool LogInspection::damaged() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.is_damage(); });
}

absl::StatusOr<LogInspection> InspectLog(Folder& folder, const InspectOptions& options) {
  return Inspector(folder, options).Run();
}

}  // namespace penstock::broker
