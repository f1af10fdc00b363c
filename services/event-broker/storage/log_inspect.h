// Looks at a log's folder from outside: nothing is opened for writing, and the log may be in use.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/batch_format.h"

namespace penstock::broker {

enum class FindingKind : std::uint8_t {
  // Nothing that was acknowledged is touched; the next start settles it.
  kTornTail,       // Bytes of an unfinished write at the end of the newest segment.
  kMissingFooter,  // An older segment was not sealed; its events are whole.
  // Damage.
  kDamagedRange,   // Bytes of events that fail their checksums.
  kLostRange,      // Sequences that are not there.
  kDamagedFooter,  // The events are intact, their index is not.
  kDamagedManifest,
  kForeignSegment,  // A segment of another log.
  kMalformedBatch,  // Intact, and yet not what a batch should be.
};

// "DAMAGED_RANGE".
std::string_view FindingKindName(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::kTornTail;
  std::string file;
  // Sequences that cannot be read; none when first > last or both are 0.
  Sequence first = kNoSequence;
  Sequence last = kNoSequence;
  std::uint64_t offset = 0;  // Of the bytes at fault.
  std::uint64_t bytes = 0;

  bool is_damage() const { return kind > FindingKind::kMissingFooter; }
  // One sentence.
  std::string Text() const;
};

struct InspectedSegment {
  std::string name;
  std::uint64_t id = 0;
  std::uint64_t file_bytes = 0;
  bool sealed = false;
  Sequence last = kNoSequence;  // Of its events; below `id` when it holds none.
  std::uint64_t events = 0;
  std::int64_t time_min = 0;
  std::int64_t time_max = 0;
};

struct LogInspection {
  LogId log_id{};
  std::vector<InspectedSegment> segments;
  std::vector<Finding> findings;
  std::uint64_t bytes_read = 0;

  Sequence horizon() const { return segments.empty() ? 1 : segments.front().id; }
  Sequence head() const { return segments.empty() ? 0 : segments.back().last; }
  std::uint64_t events() const;
  std::uint64_t bytes() const;
  bool damaged() const;
};

struct InspectProgress {
  std::string file;
  std::uint64_t files_done = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes = 0;
};

struct InspectOptions {
  bool deep = false;    // Reads every event; else of sealed segments the footers only.
  bool in_use = false;  // A broker may be writing: the newest segment's end and removed segments
                        // are no findings.
  std::function<void(const InspectProgress&)> progress;  // May be empty.
};

// Inspects the log. FAILED_PRECONDITION for a newer format, NOT_FOUND when the folder holds no log,
// other errors when something cannot be read. May block.
absl::StatusOr<LogInspection> InspectLog(Folder& folder, const InspectOptions& options);

struct DumpOptions {
  Sequence from = 1;
  Sequence to = kMaxSequence;       // Inclusive.
  std::vector<std::string> spaces;  // Empty: all. Control records pass whatever is listed.
  std::vector<std::string> types;   // Empty: all. Control records only when this is empty.
};

// Gives every stored record that passes, by rising sequence, straight from the files. `record`
// returns false to end. `lost` is told of ranges that cannot be read. May block.
absl::Status DumpLog(Folder& folder, const DumpOptions& options,
                     const std::function<bool(const RecordView& record)>& record,
                     const std::function<void(const LostRange& range)>& lost);

}  // namespace penstock::broker
