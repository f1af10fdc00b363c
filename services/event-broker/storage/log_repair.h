// Repairs a log's folder that no broker has open.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/storage/log_inspect.h"

namespace penstock::broker {

struct RepairOptions {
  bool dry_run = true;                                   // Only says what would be done.
  std::function<void(const InspectProgress&)> progress;  // May be empty.
};

struct RepairReport {
  LogInspection before;
  std::vector<std::string> actions;  // One sentence each: done, or with `dry_run` to be done.
  std::vector<std::string> left;     // What no repair can change: one sentence each.
};

// Brings every segment into the form that a start expects and a scrub finds intact: torn tails are
// cut, missing and damaged footers are written again, damaged bytes are taken out of the segments.
// Every byte that is taken out and may have been an event's is kept beside the log, as
// "<segment>.<offset>.corrupt" with a note "<segment>.<offset>.corrupt.txt". A segment is replaced
// in one step, never changed in place, because backups may share its file. A crash in the middle
// leaves a log that can be repaired again. The caller holds the lock of the data folder.
absl::StatusOr<RepairReport> RepairLog(Folder& folder, const Clock& clock,
                                       const RepairOptions& options);

}  // namespace penstock::broker
