// Makes archives.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace penstock::archive {

// Packs the files below `folder` into a tar archive with gzip at `file`: in the order of their
// paths, without times and owners, so that equal files make equal bytes. `skip` is asked for each
// path below the folder, "src/main.py", and for folders before what is in them. How many files
// there are. INVALID_ARGUMENT for links and other kinds than files and folders, naming the path.
// Blocks.
absl::StatusOr<int> Pack(const std::string& folder, const std::string& file,
                         const std::function<bool(const std::string& path)>& skip = {});

}  // namespace penstock::archive
