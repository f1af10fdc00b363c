// DumpLog: every record, straight from the files.
#include <algorithm>

#include "libs/base/status.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/log_inspect.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"

namespace penstock::broker {
namespace {

bool Lists(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

class Dumper final : public ScanVisitor {
 public:
  Dumper(const DumpOptions& options, const std::function<bool(const RecordView&)>& record,
         const std::function<void(const LostRange&)>& lost)
      : options_(options), record_(record), lost_(lost) {}

  absl::Status OnBatch(const BatchHeader& header, std::uint64_t, std::string_view bytes) override {
    if (header.last_sequence() < options_.from) return absl::OkStatus();
    RecordCursor cursor(header, bytes.substr(kBatchHeaderBytes));
    RecordView record;
    while (cursor.Next(record)) {
      if (record.sequence < options_.from || !Passes(record)) continue;
      ended_ = ended_ || record.sequence > options_.to || !record_(record);
      if (ended_) return absl::CancelledError("the dump has ended");
    }
    return absl::OkStatus();
  }
  void OnHole(const ScanHole& hole) override { Lose(hole.first, hole.last, "checksum mismatch"); }

  void BeginFile(const std::string& name) { name_ = name; }
  void Lose(Sequence first, Sequence last, std::string_view reason) {
    first = std::max(first, options_.from);
    last = std::min(last, options_.to);
    if (first <= last) lost_({first, last, name_, std::string(reason)});
  }
  bool ended() const { return ended_; }

 private:
  bool Passes(const RecordView& record) const {
    if (record.kind == RecordKind::kControl) return options_.types.empty();
    return Lists(options_.spaces, record.space) && Lists(options_.types, record.type);
  }

  const DumpOptions& options_;
  const std::function<bool(const RecordView&)>& record_;
  const std::function<void(const LostRange&)>& lost_;
  std::string name_;
  bool ended_ = false;
};

}  // namespace

absl::Status DumpLog(Folder& folder, const DumpOptions& options,
                     const std::function<bool(const RecordView& record)>& record,
                     const std::function<void(const LostRange& range)>& lost) {
  ASSIGN_OR_RETURN(const std::vector<std::string> all, folder.List());
  ASSIGN_OR_RETURN(const FoundLogId id, FindLogId(folder, all));
  if (!id.known) return absl::NotFoundError("the folder holds no event log");
  std::vector<std::uint64_t> ids;
  for (const std::string& name : all) {
    if (const auto segment = ParseSegmentFileName(name)) ids.push_back(*segment);
  }
  Dumper dumper(options, record, lost);
  for (std::size_t i = 0; i < ids.size() && ids[i] <= options.to; ++i) {
    if (i + 1 < ids.size() && ids[i + 1] <= options.from) continue;
    const std::string name = SegmentFileName(ids[i]);
    dumper.BeginFile(name);
    const auto file = folder.Open(name, OpenMode::kRead);
    // Retention may remove the oldest ones meanwhile.
    if (absl::IsNotFound(file.status())) continue;
    RETURN_IF_ERROR(file.status());
    ASSIGN_OR_RETURN(std::uint64_t end, (*file)->Size());
    SegmentTrailer trailer;
    ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(**file, end, trailer));
    if (verdict == TrailerVerdict::kNewer) return NewerFormatError(name);
    if (verdict == TrailerVerdict::kValid) end = trailer.summary.batches_end;
    const auto scan = ScanSegment(**file, end, {id.id, ids[i]}, &dumper);
    if (dumper.ended()) return absl::OkStatus();
    RETURN_IF_ERROR(scan.status());
    if (scan->newer_format) return NewerFormatError(name);
    const Sequence behind = scan->last.has_value() ? scan->last->last_sequence() + 1 : ids[i];
    if (i + 1 < ids.size()) {
      dumper.Lose(behind, ids[i + 1] - 1, "missing before the next segment");
    } else if (verdict == TrailerVerdict::kValid) {
      dumper.Lose(behind, trailer.summary.last_sequence, "checksum mismatch");
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock::broker
