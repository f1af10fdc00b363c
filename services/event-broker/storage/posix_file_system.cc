#include "services/event-broker/storage/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kPiecesPerCall = 64;

absl::Status ErrorOf(int error, std::string_view what, const std::string& name) {
  std::array<char, 128> buffer{};
  const std::string message =
      fmt::format("{} {}: {}", what, name, strerror_r(error, buffer.data(), buffer.size()));
  switch (error) {
    case ENOENT: return absl::NotFoundError(message);
    case EEXIST: return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT: return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS: return absl::PermissionDeniedError(message);
    default: return absl::InternalError(message);
  }
}

// Repeats a call that a signal interrupted.
template <typename Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  ~PosixFile() override { close(fd_); }

  absl::Status WriteAt(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    AssertMayBlock("writing a file");
    std::array<iovec, kPiecesPerCall> vectors;
    std::size_t done = 0;  // Bytes of the first piece that are written already.
    while (!pieces.empty()) {
      const std::size_t count = std::min(pieces.size(), kPiecesPerCall);
      for (std::size_t i = 0; i < count; ++i) {
        const std::string_view piece = i == 0 ? pieces[i].substr(done) : pieces[i];
        vectors[i] = {const_cast<char*>(piece.data()), piece.size()};
      }
      const ssize_t wrote = Retry([&] {
        return pwritev(fd_, vectors.data(), static_cast<int>(count), static_cast<off_t>(offset));
      });
      if (wrote < 0) return ErrorOf(errno, "write", name_);
      offset += static_cast<std::uint64_t>(wrote);
      done += static_cast<std::size_t>(wrote);
      while (!pieces.empty() && done >= pieces.front().size()) {
        done -= pieces.front().size();
        pieces = pieces.subspan(1);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    AssertMayBlock("reading a file");
    std::size_t total = 0;
    while (total < size) {
      const ssize_t got = Retry([&] {
        return pread(fd_, out + total, size - total, static_cast<off_t>(offset + total));
      });
      if (got < 0) return ErrorOf(errno, "read", name_);
      if (got == 0) break;
      total += static_cast<std::size_t>(got);
    }
    return total;
  }

  absl::Status Sync() override {
    AssertMayBlock("syncing a file");
    // Not repeated whatever the error: a second try may report success for pages that the kernel
    // has dropped.
    if (fdatasync(fd_) != 0) return ErrorOf(errno, "fdatasync", name_);
    return absl::OkStatus();
  }

  absl::Status Truncate(std::uint64_t size) override {
    AssertMayBlock("truncating a file");
    if (Retry([&] { return ftruncate(fd_, static_cast<off_t>(size)); }) != 0) {
      return ErrorOf(errno, "truncate", name_);
    }
    return absl::OkStatus();
  }

  absl::Status Allocate(std::uint64_t size) override {
    AssertMayBlock("allocating a file");
    int error = EINTR;
    while (error == EINTR) error = posix_fallocate(fd_, 0, static_cast<off_t>(size));
    return error == 0 ? absl::OkStatus() : ErrorOf(error, "allocate", name_);
  }

  absl::StatusOr<std::uint64_t> Size() override {
    struct stat info;
    if (fstat(fd_, &info) != 0) return ErrorOf(errno, "stat", name_);
    return static_cast<std::uint64_t>(info.st_size);
  }

  void DropCache(std::uint64_t offset, std::uint64_t size) override {
    posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_DONTNEED);
  }

 private:
  const int fd_;
  const std::string name_;
};

class PosixFolder final : public Folder {
 public:
  PosixFolder(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFolder() override { close(fd_); }

  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& name) override {
    return OpenAt(name, O_RDWR | O_CREAT | O_EXCL, "create");
  }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name, OpenMode mode) override {
    return OpenAt(name, mode == OpenMode::kRead ? O_RDONLY : O_RDWR, "open");
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    AssertMayBlock("listing a folder");
    // A descriptor of its own: reading a folder moves the descriptor's position.
    const int fd = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const folder = fd < 0 ? nullptr : fdopendir(fd);
    if (folder == nullptr) {
      const absl::Status error = ErrorOf(errno, "list", path_);
      if (fd >= 0) close(fd);
      return error;
    }
    std::vector<std::string> names;
    while (const dirent* const entry = readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    closedir(folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status Unlink(const std::string& name) override {
    AssertMayBlock("removing a file");
    if (unlinkat(fd_, name.c_str(), 0) != 0) return ErrorOf(errno, "remove", Full(name));
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    AssertMayBlock("renaming a file");
    if (renameat(fd_, from.c_str(), fd_, to.c_str()) != 0) {
      return ErrorOf(errno, "rename", Full(from));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    AssertMayBlock("syncing a folder");
    if (fsync(fd_) != 0) return ErrorOf(errno, "fsync", path_);
    return absl::OkStatus();
  }

 private:
  std::string Full(const std::string& name) const { return path_ + "/" + name; }

  absl::StatusOr<std::unique_ptr<File>> OpenAt(const std::string& name, int flags,
                                               std::string_view what) {
    AssertMayBlock("opening a file");
    const int fd = Retry([&] { return openat(fd_, name.c_str(), flags | O_CLOEXEC, 0640); });
    if (fd < 0) return ErrorOf(errno, what, Full(name));
    return std::make_unique<PosixFile>(fd, Full(name));
  }

  const int fd_;
  const std::string path_;
};

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<Folder>> OpenFolder(const std::string& path) override {
    AssertMayBlock("opening a folder");
    RETURN_IF_ERROR(Make(std::filesystem::path(path).lexically_normal()));
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ErrorOf(errno, "open", path);
    return std::make_unique<PosixFolder>(fd, path);
  }

 private:
  // Creates `path` and what is missing above it, each durable in its parent.
  static absl::Status Make(const std::filesystem::path& path) {
    std::error_code error;
    if (path.empty() || std::filesystem::is_directory(path, error)) return absl::OkStatus();
    const std::filesystem::path parent = path.parent_path();
    if (parent != path) RETURN_IF_ERROR(Make(parent));
    if (mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
      return ErrorOf(errno, "create", path.string());
    }
    const int fd = open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ErrorOf(errno, "open", parent.string());
    const bool synced = fsync(fd) == 0;
    const int sync_error = errno;
    close(fd);
    return synced ? absl::OkStatus() : ErrorOf(sync_error, "fsync", parent.string());
  }
};

}  // namespace

FileSystem& PosixFiles() {
  static PosixFileSystem files;
  return files;
}

}  // namespace penstock::broker
