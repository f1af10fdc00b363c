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

absl::Status NewerFormatError(const std::string& name) {
  return absl::FailedPreconditionError(fmt::format(
      "{} has a newer format than {}, the newest this version reads", name, kLogFormat));
}

absl::StatusOr<std::unique_ptr<File>> CreateOrEmpty(Folder& folder, const std::string& name) {
  auto file = folder.Create(name);
  if (!absl::IsAlreadyExists(file.status())) return file;
  file = folder.Open(name, OpenMode::kReadWrite);
  if (file.ok()) RETURN_IF_ERROR((*file)->Truncate(0));
  return file;
}

absl::StatusOr<FoundLogId> FindLogId(Folder& folder, const std::vector<std::string>& names) {
  FoundLogId found;
  auto text = ReadSmallFile(folder, kManifestName);
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (text.ok()) {
    auto id = DecodeManifest(*text);
    if (id.ok()) return FoundLogId{.id = *id, .known = true, .in_manifest = true};
    if (!absl::IsDataLoss(id.status())) return id.status();
    found.manifest_damaged = true;
  }
  // Every batch carries the id, so any intact one tells it.
  bool any_content = false;
  for (const std::string& name : names) {
    if (!ParseSegmentFileName(name).has_value()) continue;
    ASSIGN_OR_RETURN(const std::string start, ReadSmallFile(folder, name));
    any_content = any_content || !start.empty();
    BatchHeader header;
    const HeaderVerdict verdict = DecodeBatchHeader(start, header);
    if (verdict == HeaderVerdict::kNewer) return NewerFormatError(name);
    if (verdict != HeaderVerdict::kValid) continue;
    found.id = header.log_id;
    found.known = true;
    return found;
  }
  if (!any_content) return found;
  return absl::DataLossError(
      fmt::format("{} is missing or damaged and no segment tells the log's id", kManifestName));
}

absl::Status WriteManifest(Folder& folder, const LogId& log_id) {
  const std::string temporary = std::string(kManifestName) + ".tmp";
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, CreateOrEmpty(folder, temporary));
  const std::string text = EncodeManifest(log_id);
  const std::string_view pieces[] = {text};
  RETURN_IF_ERROR(file->WriteAt(0, pieces));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(folder.Rename(temporary, kManifestName));
  return folder.Sync();
}

}  // namespace penstock::broker
