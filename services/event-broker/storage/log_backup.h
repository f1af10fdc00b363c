// Copies the folder of a log that may be in use, from outside.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::broker {

struct LogBackupCounts {
  std::uint64_t segments_linked = 0;  // Sharing their files with the log.
  std::uint64_t segments_copied = 0;
  std::uint64_t bytes_copied = 0;
};

// One backup of one log, in two steps, so that the state can be copied between them:
//
//   Pin()     links every sealed segment: whatever retention does from now on, it is kept.
//   (copy the state: it may lag the log that Finish copies, and never leads it)
//   Finish()  adds what was sealed since, and the active segment up to its last whole batch.
//
// Files are append-only and sealed ones never change, so no lock is needed. Where the target is on
// another file system, the links are made beside the log, copied by Finish, and removed. Not
// thread-safe; blocks.
class LogBackup {
 public:
  struct Options {
    std::string log_folder;
    std::string target_folder;  // Must not exist; its parent must.
    // Told after each file; may be empty.
    std::function<void(const std::string& file, const LogBackupCounts& counts)> progress;
  };

  // ALREADY_EXISTS when the target exists, NOT_FOUND when there is no log, FAILED_PRECONDITION when
  // another backup of this log is running.
  static absl::StatusOr<std::unique_ptr<LogBackup>> Begin(Options options);
  ~LogBackup();

  absl::Status Pin();
  absl::Status Finish();
  const LogBackupCounts& counts() const;

 private:
  class Impl;
  explicit LogBackup(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// Copies a file, durably but for its name; an existing target is refused. The copy can be read by
// its owner only when the file can.
absl::StatusOr<std::uint64_t> CopyFileDurably(const std::string& from, const std::string& to);

// Makes the names in a folder durable.
absl::Status SyncFolder(const std::string& path);

}  // namespace penstock::broker
