#include "libs/lifecycle/instance_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "libs/base/ids.h"

namespace penstock::lifecycle {
namespace {

constexpr std::size_t kIdBytes = 4;

bool IsId(const std::string& text) {
  return text.size() == 2 * kIdBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

absl::StatusOr<std::string> LoadInstanceId(const std::string& folder) {
  const std::string path = folder + "/instance";
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    std::string id;
    std::ifstream(path) >> id;
    if (IsId(id)) return id;
    return absl::FailedPreconditionError(fmt::format(
        "{}: expected 8 hexadecimal digits, the id of this instance; remove the file to "
        "get a new one",
        path));
  }
  const std::string id = RandomHex(kIdBytes);
  // Renamed into place, so that a crash leaves no half of an id.
  const std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::trunc);
  file << id << "\n";
  file.close();
  if (!file) return absl::UnavailableError(fmt::format("{}: cannot be written", temporary));
  std::filesystem::rename(temporary, path, error);
  if (error) return absl::UnavailableError(fmt::format("{}: {}", path, error.message()));
  return id;
}

}  // namespace penstock::lifecycle
