// Reads archives that anybody may have made.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::archive {

// Bounds on what an archive unfolds to.
struct UnpackLimits {
  // Of entries, and of folders, also those that only paths name.
  std::int64_t files_max = 20'000;
  std::int64_t bytes_max = std::int64_t{512} << 20;
};

// Unpacks the tar archive `file`, compressed with gzip or not, into `folder`, which exists and is
// empty. Files are made with mode 0644, or 0755 when their owner may run them, folders with 0755.
// INVALID_ARGUMENT, saying what and in which entry, for what is no such archive, for paths that are
// absolute, leave the folder or are more than 64 folders deep, for links, devices and every other
// kind but files and folders, for an entry that is there twice, and beyond the limits. What was
// unpacked before an error stays. Blocks.
absl::Status Unpack(const std::string& file, const std::string& folder,
                    const UnpackLimits& limits = {});

struct FileInfo {
  bool runs = false;  // Its owner may run it.
};

// The files of such an archive by path; it is read to its end, but nothing is written. Errors as of
// Unpack, but for a path that is a file and a folder, which only that one refuses. Blocks.
absl::StatusOr<std::map<std::string, FileInfo>> List(const std::string& file,
                                                     const UnpackLimits& limits = {});

}  // namespace penstock::archive
