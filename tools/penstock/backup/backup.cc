#include "tools/penstock/backup/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "libs/base/status.h"
#include "libs/sqlite/connection.h"
#include "services/event-broker/storage/log_backup.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/log_inspect.h"
#include "services/event-broker/storage/posix_file_system.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kPartialSuffix[] = ".partial";
constexpr std::string_view kSqliteMagic = "SQLite format 3";

bool IsDatabase(const fs::path& path) {
  if (path.extension() != ".db") return false;
  std::ifstream file(path, std::ios::binary);
  std::string start(kSqliteMagic.size(), '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start == kSqliteMagic;
}

// Whether a folder is an event log, by its manifest or, when that is lost, by its segments.
bool IsLog(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / broker::kManifestName, error)) return true;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (broker::ParseSegmentFileName(at->path().filename().string()).has_value()) return true;
  }
  return false;
}

// What a start makes again, or what belongs to a running process.
bool IsTransient(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const std::string_view ending : {"-wal", "-shm", "-journal", ".tmp", ".backup-pin"}) {
    if (name.ends_with(ending)) return true;
  }
  return name == "LOCK" || name == "penstock.ports.json" || name == "process";
}

absl::Status FileError(std::string_view what, const fs::path& path, const std::error_code& error) {
  return absl::InternalError(fmt::format("cannot {} {}: {}", what, path.string(), error.message()));
}

class Backup {
 public:
  explicit Backup(const BackupOptions& options)
      : options_(options), source_(options.data_dir), partial_(options.target + kPartialSuffix) {}

  absl::StatusOr<BackupReport> Run() {
    RETURN_IF_ERROR(CheckPaths());
    absl::StatusOr<BackupReport> report = CopyAll();
    logs_.clear();
    std::error_code ignored;
    // Half a backup must not be taken for one.
    if (!report.ok()) fs::remove_all(partial_, ignored);
    return report;
  }

 private:
  absl::StatusOr<BackupReport> CopyAll() {
    RETURN_IF_ERROR(Walk(source_));
    if (logs_.empty() && databases_.empty()) {
      return absl::NotFoundError(fmt::format(
          "{} holds no data of Penstock: neither an event log nor a database", options_.data_dir));
    }
    // The broker's state first: what it refers to is in the log, and in the other stores.
    std::stable_partition(databases_.begin(), databases_.end(),
                          [](const fs::path& path) { return path.filename() == "state.db"; });
    for (const auto& log : logs_) RETURN_IF_ERROR(log->Pin());
    for (const fs::path& path : databases_) RETURN_IF_ERROR(CopyDatabase(path));
    for (const auto& log : logs_) RETURN_IF_ERROR(log->Finish());
    for (const fs::path& path : files_) RETURN_IF_ERROR(CopyFile(path));
    RETURN_IF_ERROR(Complete());
    return std::move(report_);
  }
  fs::path Copied(const fs::path& path) const { return partial_ / fs::relative(path, source_); }
  void Tell(const std::string& what) {
    if (options_.progress) options_.progress(what);
  }

  absl::Status CheckPaths();
  absl::Status Walk(const fs::path& folder);
  absl::Status CopyDatabase(const fs::path& path);
  absl::Status CopyFile(const fs::path& path);
  absl::Status Complete();

  const BackupOptions& options_;
  const fs::path source_;
  const fs::path partial_;
  std::vector<std::unique_ptr<broker::LogBackup>> logs_;
  std::vector<fs::path> log_folders_;  // Of the copy.
  std::vector<fs::path> folders_;      // Of the copy.
  std::vector<fs::path> databases_;
  std::vector<fs::path> files_;
  BackupReport report_;
};

absl::Status Backup::CheckPaths() {
  std::error_code error;
  if (!fs::is_directory(source_, error)) {
    return absl::NotFoundError(fmt::format("--data-dir: there is no folder {}", source_.string()));
  }
  const fs::path inside = fs::weakly_canonical(options_.target, error)
                              .lexically_relative(fs::canonical(source_, error));
  if (!inside.empty() && inside.begin()->string() != "..") {
    return absl::InvalidArgumentError("--to: must not lie in the data folder");
  }
  if (fs::exists(options_.target, error) && !fs::is_empty(options_.target, error)) {
    return absl::AlreadyExistsError(
        fmt::format("--to: {} exists and is not empty", options_.target));
  }
  if (fs::exists(partial_, error)) {
    return absl::AlreadyExistsError(
        fmt::format("{} exists: a backup is running or was interrupted; remove it if none runs",
                    partial_.string()));
  }
  return absl::OkStatus();
}

absl::Status Backup::Walk(const fs::path& folder) {
  std::error_code error;
  const fs::path copied = folder == source_ ? partial_ : Copied(folder);
  if (!fs::create_directories(copied, error) && error) return FileError("create", copied, error);
  fs::permissions(copied, fs::status(folder, error).permissions(), error);
  folders_.push_back(copied);
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!IsTransient(at->path())) entries.push_back(at->path());
  }
  if (error) return FileError("list", folder, error);
  std::sort(entries.begin(), entries.end());
  for (const fs::path& path : entries) {
    const fs::file_status status = fs::symlink_status(path, error);
    if (fs::is_directory(status) && IsLog(path)) {
      ASSIGN_OR_RETURN(auto log,
                       broker::LogBackup::Begin({.log_folder = path.string(),
                                                 .target_folder = Copied(path).string(),
                                                 .progress = [this](const std::string& file,
                                                                    const auto&) { Tell(file); }}));
      logs_.push_back(std::move(log));
      log_folders_.push_back(Copied(path));
    } else if (fs::is_directory(status)) {
      RETURN_IF_ERROR(Walk(path));
    } else if (fs::is_regular_file(status)) {
      (IsDatabase(path) ? databases_ : files_).push_back(path);
    }
  }
  return absl::OkStatus();
}

absl::Status Backup::CopyDatabase(const fs::path& path) {
  Tell(path.filename().string());
  ASSIGN_OR_RETURN(const auto database,
                   sqlite::Connection::Open({.path = path.string(), .read_only = true}));
  RETURN_IF_ERROR(database->Backup(Copied(path).string()));
  ++report_.databases;
  return absl::OkStatus();
}

absl::Status Backup::CopyFile(const fs::path& path) {
  Tell(path.filename().string());
  const auto copied = broker::CopyFileDurably(path.string(), Copied(path).string());
  if (absl::IsNotFound(copied.status())) return absl::OkStatus();
  RETURN_IF_ERROR(copied.status());
  ++report_.files;
  if (path.extension() == ".key" || path.extension() == ".token") {
    report_.notes.push_back(
        fmt::format("the copy holds {}: whoever reads it can use it", path.filename().string()));
  }
  return absl::OkStatus();
}

absl::Status Backup::Complete() {
  for (const auto& log : logs_) {
    report_.segments_linked += log->counts().segments_linked;
    report_.segments_copied += log->counts().segments_copied;
    report_.bytes_copied += log->counts().bytes_copied;
  }
  for (const fs::path& path : log_folders_) {
    ASSIGN_OR_RETURN(const auto folder, broker::PosixFiles().OpenFolder(path.string()));
    ASSIGN_OR_RETURN(const auto inspection, broker::InspectLog(*folder, {}));
    for (const broker::Finding& finding : inspection.findings) {
      report_.notes.push_back(finding.Text());
    }
    report_.has_log = true;
    report_.horizon = inspection.horizon();
    report_.head = inspection.head();
  }
  if (report_.segments_linked > 0) {
    report_.notes.push_back(
        "sealed segments share their disk space with the data folder: copy the backup to another "
        "disk");
  }
  for (const fs::path& folder : folders_) RETURN_IF_ERROR(broker::SyncFolder(folder.string()));
  std::error_code error;
  fs::rename(partial_, options_.target, error);
  if (error) return FileError("rename", partial_, error);
  const fs::path parent = fs::absolute(options_.target, error).parent_path();
  return broker::SyncFolder(parent.string());
}

}  // namespace

absl::StatusOr<BackupReport> RunBackup(const BackupOptions& options) {
  BackupOptions trimmed = options;
  while (trimmed.target.size() > 1 && trimmed.target.ends_with('/')) trimmed.target.pop_back();
  while (trimmed.data_dir.size() > 1 && trimmed.data_dir.ends_with('/')) {
    trimmed.data_dir.pop_back();
  }
  return Backup(trimmed).Run();
}

}  // namespace penstock::cli
