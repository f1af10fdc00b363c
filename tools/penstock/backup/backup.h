// Copies a data folder while the services that own it run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::cli {

struct BackupOptions {
  std::string data_dir;  // Of one service, or of `penstock up` with a folder a service.
  std::string target;    // Must not exist, or be empty.
  std::function<void(const std::string& what)> progress;  // Told before each file; may be empty.
};

struct BackupReport {
  std::uint64_t databases = 0;
  std::uint64_t files = 0;
  std::uint64_t segments_linked = 0;
  std::uint64_t segments_copied = 0;
  std::uint64_t bytes_copied = 0;  // Of segments.
  // Of the event log, when there is one.
  bool has_log = false;
  std::uint64_t horizon = 0;
  std::uint64_t head = 0;
  // What whoever keeps the copy should know, one sentence each.
  std::vector<std::string> notes;
};

// The order is what makes the copy consistent, see docs/decisions/0020: first the event log's
// sealed segments are pinned by hard links, then the databases are copied (each as of one moment),
// then what the log got since, so that the state may lag the log and never leads it. The copy is
// built beside `target` and gets its name at the end. Blocks.
absl::StatusOr<BackupReport> RunBackup(const BackupOptions& options);

}  // namespace penstock::cli
