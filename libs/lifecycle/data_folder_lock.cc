#include "libs/lifecycle/data_folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "fmt/format.h"
#include "libs/base/status.h"

namespace penstock::lifecycle {
namespace {

absl::Status SystemError(std::string_view what, const std::string& path, int error) {
  return absl::InternalError(fmt::format("cannot {} {}: {}", what, path, std::strerror(error)));
}

absl::Status CreateFolder(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path(folder);
  if (std::filesystem::is_directory(path, error)) return absl::OkStatus();
  if (path.has_parent_path()) {
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return SystemError("create", path.parent_path().string(), error.value());
  }
  // Only the owner may look into a data folder.
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("create", folder, errno);
  }
  return absl::OkStatus();
}

// What the holder wrote about itself: one line.
std::string ReadHolder(int fd) {
  char buffer[256];
  const ssize_t size = pread(fd, buffer, sizeof(buffer), 0);
  std::string text(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
  text = text.substr(0, text.find('\n'));
  return text.empty() ? "another process" : text;
}

absl::Status WriteHolder(int fd, const std::string& path, std::string_view program) {
  const std::string text = fmt::format("{} (process {})\n", program, getpid());
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return SystemError("write", path, errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DataFolderLock> DataFolderLock::Acquire(const std::string& folder,
                                                       std::string_view program) {
  if (folder.empty()) return absl::InvalidArgumentError("the data folder has no name");
  std::string trimmed = folder;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  RETURN_IF_ERROR(CreateFolder(trimmed));
  const std::string path = (std::filesystem::path(folder) / "LOCK").string();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("open", path, errno);
  DataFolderLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("lock", path, errno);
    return absl::FailedPreconditionError(
        fmt::format("the data folder {} is in use by {}", folder, ReadHolder(fd)));
  }
  RETURN_IF_ERROR(WriteHolder(fd, path, program));
  return lock;
}

DataFolderLock::DataFolderLock(DataFolderLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

DataFolderLock& DataFolderLock::operator=(DataFolderLock&& other) noexcept {
  if (this == &other) return *this;
  Release();
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

DataFolderLock::~DataFolderLock() { Release(); }

void DataFolderLock::Release() {
  // Closing the only descriptor releases the lock.
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

absl::StatusOr<std::string> DataFolderHolder(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "LOCK").string();
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::string();
  if (fd < 0) return SystemError("open", path, errno);
  // Shared and for a moment: only a start at this very instant would be refused.
  const bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  std::string holder = is_free ? std::string() : ReadHolder(fd);
  close(fd);
  return holder;
}

}  // namespace penstock::lifecycle
