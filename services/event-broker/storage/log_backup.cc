#include "services/event-broker/storage/log_backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "services/event-broker/storage/log_folder.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_footer.h"
#include "services/event-broker/storage/segment_scan.h"

namespace penstock::broker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = 1 << 20;
constexpr char kPinSuffix[] = ".backup-pin";

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  const std::string text = fmt::format("cannot {} {}: {}", what, path, std::strerror(error));
  switch (error) {
    case ENOENT: return absl::NotFoundError(text);
    case EEXIST: return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT: return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM: return absl::PermissionDeniedError(text);
    default: return absl::InternalError(text);
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status WriteAll(int fd, const char* data, std::size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t wrote = write(fd, data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return SystemError("write", path, errno);
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return absl::OkStatus();
}

// Whether links cannot be made at all, so that copies have to do.
bool CannotLink(int error) {
  return error == EXDEV || error == EPERM || error == EOPNOTSUPP || error == EMLINK ||
         error == ENOSYS;
}

}  // namespace

absl::StatusOr<std::uint64_t> CopyFileDurably(const std::string& from, const std::string& to) {
  AssertMayBlock("copying a file");
  const Descriptor in(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return SystemError("open", from, errno);
  struct stat info;
  if (fstat(in.get(), &info) != 0) return SystemError("stat", from, errno);
  const Descriptor out(
      open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info.st_mode & 0777));
  if (out.get() < 0) return SystemError("create", to, errno);
  std::string buffer(kCopyBytes, '\0');
  std::uint64_t copied = 0;
  while (true) {
    const ssize_t got = read(in.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", from, errno);
    if (got == 0) break;
    RETURN_IF_ERROR(WriteAll(out.get(), buffer.data(), static_cast<std::size_t>(got), to));
    copied += static_cast<std::uint64_t>(got);
  }
  if (fsync(out.get()) != 0) return SystemError("sync", to, errno);
  return copied;
}

absl::Status SyncFolder(const std::string& path) {
  const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return SystemError("open", path, errno);
  return fsync(folder.get()) == 0 ? absl::OkStatus() : SystemError("sync", path, errno);
}

class LogBackup::Impl {
 public:
  explicit Impl(Options options)
      : options_(std::move(options)), pin_path_(options_.log_folder + kPinSuffix) {}
  ~Impl() { RemovePinFolder(); }

  absl::Status Begin();
  absl::Status Pin();
  absl::Status Finish();
  const LogBackupCounts& counts() const { return counts_; }

 private:
  std::string Source(const std::string& name) const { return options_.log_folder + "/" + name; }
  std::string Target(const std::string& name) const { return options_.target_folder + "/" + name; }
  std::string Pinned(const std::string& name) const { return pin_path_ + "/" + name; }

  absl::StatusOr<std::vector<std::string>> ListSegments();
  absl::StatusOr<bool> IsSealed(const std::string& name);
  absl::Status TakeSealed(const std::string& name);
  absl::Status TakeUnsealed(const std::string& name, bool newest);
  absl::Status Copy(const std::string& from, const std::string& name);
  absl::Status MakePinFolder();
  void RemovePinFolder();
  void Report(const std::string& name) {
    if (options_.progress) options_.progress(name, counts_);
  }

  const Options options_;
  const std::string pin_path_;
  std::unique_ptr<Folder> folder_;
  LogId log_id_{};
  LogBackupCounts counts_;
  std::set<std::string> taken_;   // In the target, or pinned.
  std::set<std::string> pinned_;  // Linked beside the log, to be copied.
  std::unique_ptr<Descriptor> pin_lock_;
  bool links_to_target_ = true;
  bool links_beside_ = true;
};

absl::Status LogBackup::Impl::Begin() {
  std::error_code error;
  if (!fs::is_directory(options_.log_folder, error)) {
    return absl::NotFoundError(fmt::format("there is no folder {}", options_.log_folder));
  }
  ASSIGN_OR_RETURN(folder_, PosixFiles().OpenFolder(options_.log_folder));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_->List());
  ASSIGN_OR_RETURN(const FoundLogId id, FindLogId(*folder_, names));
  if (!id.known) {
    return absl::NotFoundError(fmt::format("{} holds no event log", options_.log_folder));
  }
  log_id_ = id.id;
  if (fs::exists(pin_path_, error)) {
    // Left by a backup that was interrupted: it would hold disk space for ever.
    RETURN_IF_ERROR(MakePinFolder());
    RemovePinFolder();
  }
  if (mkdir(options_.target_folder.c_str(), 0750) != 0) {
    return SystemError("create", options_.target_folder, errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> LogBackup::Impl::ListSegments() {
  ASSIGN_OR_RETURN(std::vector<std::string> names, folder_->List());
  std::erase_if(names,
                [](const std::string& name) { return !ParseSegmentFileName(name).has_value(); });
  return names;
}

absl::StatusOr<bool> LogBackup::Impl::IsSealed(const std::string& name) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, folder_->Open(name, OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  SegmentTrailer trailer;
  ASSIGN_OR_RETURN(const TrailerVerdict verdict, ReadTrailer(*file, size, trailer));
  if (verdict == TrailerVerdict::kNewer) return NewerFormatError(name);
  return verdict == TrailerVerdict::kValid;
}

absl::Status LogBackup::Impl::Pin() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListSegments());
  for (const std::string& name : names) {
    const auto sealed = IsSealed(name);
    // Retention may have removed it since it was listed; then nothing needs it.
    if (absl::IsNotFound(sealed.status())) continue;
    RETURN_IF_ERROR(sealed.status());
    if (*sealed) RETURN_IF_ERROR(TakeSealed(name));
  }
  return absl::OkStatus();
}

absl::Status LogBackup::Impl::TakeSealed(const std::string& name) {
  if (links_to_target_) {
    if (link(Source(name).c_str(), Target(name).c_str()) == 0) {
      ++counts_.segments_linked;
      taken_.insert(name);
      Report(name);
      return absl::OkStatus();
    }
    if (errno == ENOENT) return absl::OkStatus();
    if (!CannotLink(errno)) return SystemError("link", Source(name), errno);
    links_to_target_ = false;
  }
  if (links_beside_) {
    RETURN_IF_ERROR(MakePinFolder());
    if (link(Source(name).c_str(), Pinned(name).c_str()) == 0) {
      taken_.insert(name);
      pinned_.insert(name);
      return absl::OkStatus();
    }
    if (errno == ENOENT) return absl::OkStatus();
    if (!CannotLink(errno)) return SystemError("link", Source(name), errno);
    links_beside_ = false;
  }
  return Copy(Source(name), name);
}

absl::Status LogBackup::Impl::Copy(const std::string& from, const std::string& name) {
  const auto copied = CopyFileDurably(from, Target(name));
  if (absl::IsNotFound(copied.status())) return absl::OkStatus();
  RETURN_IF_ERROR(copied.status());
  taken_.insert(name);
  ++counts_.segments_copied;
  counts_.bytes_copied += *copied;
  Report(name);
  return absl::OkStatus();
}

absl::Status LogBackup::Impl::Finish() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListSegments());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (taken_.contains(names[i])) continue;
    const auto sealed = IsSealed(names[i]);
    if (absl::IsNotFound(sealed.status())) continue;
    RETURN_IF_ERROR(sealed.status());
    RETURN_IF_ERROR(*sealed ? TakeSealed(names[i]) : TakeUnsealed(names[i], i + 1 == names.size()));
  }
  for (const std::string& name : pinned_) RETURN_IF_ERROR(Copy(Pinned(name), name));
  // A log whose manifest is lost is copied as it is: a start or a repair writes it again.
  const auto manifest = CopyFileDurably(Source(kManifestName), Target(kManifestName));
  if (!manifest.ok() && !absl::IsNotFound(manifest.status())) return manifest.status();
  RemovePinFolder();
  return SyncFolder(options_.target_folder);
}

absl::Status LogBackup::Impl::TakeUnsealed(const std::string& name, bool newest) {
  RETURN_IF_ERROR(Copy(Source(name), name));
  // Damage in an older segment is copied as it is.
  if (!newest || !taken_.contains(name)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::unique_ptr<Folder> target,
                   PosixFiles().OpenFolder(options_.target_folder));
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, target->Open(name, OpenMode::kReadWrite));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  ASSIGN_OR_RETURN(const SegmentScan scan,
                   ScanSegment(*file, size, {log_id_, *ParseSegmentFileName(name)}, nullptr));
  // What follows the last whole batch was being written; nobody has been told that it is stored.
  if (scan.valid_end == size) return absl::OkStatus();
  RETURN_IF_ERROR(file->Truncate(scan.valid_end));
  return file->Sync();
}

absl::Status LogBackup::Impl::MakePinFolder() {
  if (pin_lock_ != nullptr) return absl::OkStatus();
  if (mkdir(pin_path_.c_str(), 0750) != 0 && errno != EEXIST) {
    return SystemError("create", pin_path_, errno);
  }
  auto lock =
      std::make_unique<Descriptor>(open(pin_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock->get() < 0) return SystemError("open", pin_path_, errno);
  if (flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError("another backup of this log is running");
  }
  // Links of a backup that was interrupted.
  std::error_code error;
  for (const fs::directory_entry& left : fs::directory_iterator(pin_path_, error)) {
    fs::remove(left.path(), error);
  }
  pin_lock_ = std::move(lock);
  return absl::OkStatus();
}

void LogBackup::Impl::RemovePinFolder() {
  if (pin_lock_ == nullptr) return;
  std::error_code error;
  fs::remove_all(pin_path_, error);
  pin_lock_.reset();
}

LogBackup::LogBackup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogBackup::~LogBackup() = default;

absl::StatusOr<std::unique_ptr<LogBackup>> LogBackup::Begin(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  RETURN_IF_ERROR(impl->Begin());
  return std::unique_ptr<LogBackup>(new LogBackup(std::move(impl)));
}

absl::Status LogBackup::Pin() { return impl_->Pin(); }
absl::Status LogBackup::Finish() { return impl_->Finish(); }
const LogBackupCounts& LogBackup::counts() const { return impl_->counts(); }

}  // namespace penstock::broker
