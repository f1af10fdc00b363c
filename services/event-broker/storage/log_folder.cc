#include "services/event-broker/storage/log_folder.h"

#include <fmt/format.h>

#include <cstring>

#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/wire.h"

namespace penstock::broker {
namespace {

constexpr std::string_view kManifestStart = "penstock-log format ";
constexpr std::size_t kSmallFileBytesMax = 4096;

std::string Hex(const LogId& id) {
  std::string out;
  for (const char byte : id) out += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return out;
}

}  // namespace

std::string EncodeManifest(const LogId& log_id) {
  std::string text = fmt::format("{}{}\nid {}\n", kManifestStart, kLogFormat, Hex(log_id));
  text += fmt::format("crc32c {:08x}\n", Crc32c(text));
  return text;
}

absl::StatusOr<LogId> DecodeManifest(const std::string& text) {
  const std::size_t crc_at = text.rfind("crc32c ");
  if (!text.starts_with(kManifestStart) || crc_at == std::string::npos ||
      text.substr(crc_at) !=
          fmt::format("crc32c {:08x}\n", Crc32c(std::string_view(text).substr(0, crc_at)))) {
    return absl::DataLossError(fmt::format("{} is damaged", kManifestName));
  }
  // Start and checksum line stay the same in every format.
  const int format = std::atoi(text.c_str() + kManifestStart.size());
  if (format > kLogFormat) {
    return absl::FailedPreconditionError(
        fmt::format("the log has format {}, this version reads up to {}", format, kLogFormat));
  }
  LogId id{};
  const std::size_t id_at = text.find("\nid ");
  if (id_at == std::string::npos || text.size() < id_at + 4 + 2 * id.size()) {
    return absl::DataLossError(fmt::format("{} is damaged", kManifestName));
  }
  for (std::size_t i = 0; i < id.size(); ++i) {
    id[i] = static_cast<char>(std::strtoul(text.substr(id_at + 4 + 2 * i, 2).c_str(), nullptr, 16));
  }
  return id;
}

absl::StatusOr<std::string> ReadSmallFile(Folder& folder, const std::string& name) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, folder.Open(name, OpenMode::kRead));
  std::string text(kSmallFileBytesMax, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, file->ReadAt(0, text.data(), text.size()));
  text.resize(got);
  return text;
}

}  // namespace penstock::broker
