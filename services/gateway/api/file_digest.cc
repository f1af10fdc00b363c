#include "services/gateway/api/file_digest.h"

#include <fstream>
#include <iterator>

#include "libs/base/ids.h"

namespace penstock::gateway {

std::string DigestOfFiles(const std::vector<std::string>& paths) {
  std::string digests;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    digests += file ? Sha256Hex(bytes) : "unreadable";
    digests += '\n';
  }
  return digests.empty() ? std::string() : Sha256Hex(digests);
}

}  // namespace penstock::gateway
