// Tells one content of files from another.
#pragma once

#include <string>
#include <vector>

namespace penstock::gateway {

// A digest over the contents of `paths`, so that a file renewed at the same path shows. Empty paths
// count for nothing; a file that cannot be read counts as one of its own.
std::string DigestOfFiles(const std::vector<std::string>& paths);

}  // namespace penstock::gateway
