// The log's folder: its manifest, and what recovery finds in it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/event-broker/ports/file_system.h"
#include "services/event-broker/storage/lost_ranges.h"
#include "services/event-broker/storage/segment.h"

namespace penstock::broker {

inline constexpr char kManifestName[] = "LOG_ID";
inline constexpr char kReserveName[] = "RESERVE";

// The manifest's text: format and log id with a checksum.
std::string EncodeManifest(const LogId& log_id);
// Reads it. FAILED_PRECONDITION for a newer format, DATA_LOSS when it is damaged.
absl::StatusOr<LogId> DecodeManifest(const std::string& text);

// What recovery did, for operators.
struct RecoveryNotes {
  std::vector<std::string> sentences;
  std::uint64_t torn_tails_cut = 0;
  std::uint64_t footers_rebuilt = 0;
};

// Where the writer goes on.
struct WritePosition {
  std::shared_ptr<Segment> active;     // Null: the next append begins a segment.
  std::shared_ptr<ActiveIndex> index;  // Of `active`.
  std::shared_ptr<File> file;          // Of `active`.
  std::uint64_t durable_offset = 0;    // Behind the last durable batch of `active`.
  Sequence next_sequence = 1;
  std::uint64_t next_batch = 1;
  std::uint32_t previous_crc = 0;
};

struct RecoveredLog {
  LogId log_id{};
  bool read_only = false;
  WritePosition position;
};

// Brings the segments in `folder` into a state to append to and fills `segments` and `lost`. Reads
// everything it needs before it changes anything; fails with FAILED_PRECONDITION for a newer format
// or a foreign segment.
absl::StatusOr<RecoveredLog> RecoverLog(Folder& folder, SegmentSet& segments, LostRanges& lost,
                                        RecoveryNotes& notes);

// The id of the log in a folder, and where it is known from.
struct FoundLogId {
  LogId id{};
  bool known = false;             // From the manifest or a batch; else the folder holds no log yet.
  bool in_manifest = false;       // Else from a batch.
  bool manifest_damaged = false;  // It is there and cannot be read.
};

// Looks for the log's id in the folder with these `names`. FAILED_PRECONDITION for a newer format,
// DATA_LOSS when there are segments and none tells the id.
absl::StatusOr<FoundLogId> FindLogId(Folder& folder, const std::vector<std::string>& names);

// Writes the manifest, durably and in one step.
absl::Status WriteManifest(Folder& folder, const LogId& log_id);

// "… has a newer format than …".
absl::Status NewerFormatError(const std::string& name);

// Creates a file, or empties the one of that name.
absl::StatusOr<std::unique_ptr<File>> CreateOrEmpty(Folder& folder, const std::string& name);

// Reads a whole small file.
absl::StatusOr<std::string> ReadSmallFile(Folder& folder, const std::string& name);

}  // namespace penstock::broker
