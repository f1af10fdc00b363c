// One process per data folder.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace penstock::lifecycle {

// Holds <folder>/LOCK exclusively (flock) until it is destroyed or the process ends, however it
// ends. The file names the holder and is never removed: removing it would let two processes hold
// it.
class DataFolderLock {
 public:
  // Creates the folder (mode 0700) with its parents when it is missing. FAILED_PRECONDITION naming
  // program and process id when another holds it.
  static absl::StatusOr<DataFolderLock> Acquire(const std::string& folder,
                                                std::string_view program);
  DataFolderLock(DataFolderLock&& other) noexcept;
  DataFolderLock& operator=(DataFolderLock&& other) noexcept;
  ~DataFolderLock();

 private:
  explicit DataFolderLock(int fd) : fd_(fd) {}
  void Release();

  int fd_ = -1;
};

// What holds the lock of `folder`, or empty when nothing does or there is no such folder. Changes
// nothing.
absl::StatusOr<std::string> DataFolderHolder(const std::string& folder);

}  // namespace penstock::lifecycle
