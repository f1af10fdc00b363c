#include "services/function-manager/storage/file_source_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "libs/archive/unpack.h"
#include "libs/base/ids.h"
#include "libs/base/sha256.h"
#include "libs/base/status.h"

namespace penstock::functions {
namespace {

namespace fs = std::filesystem;

// No space has this name: ids have three characters at least.
constexpr char kUploadsFolder[] = "up";

absl::Status ErrnoStatus(std::string_view action, const std::string& path) {
  const int error = errno;
  const std::string text = fmt::format("cannot {} {}: {}", action, path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

absl::Status MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("cannot make the folder {}: {}", path.string(), error.message()));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// A rename is durable when its folder is.
absl::Status SyncFolder(const fs::path& path) {
  const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd() < 0 || ::fsync(folder.fd()) != 0) return ErrnoStatus("sync", path.string());
  return absl::OkStatus();
}

class FileReader final : public SourceStore::Reader {
 public:
  explicit FileReader(int fd, std::string path) : file_(fd), path_(std::move(path)) {}

  absl::StatusOr<std::string> Read(std::size_t bytes_max) override {
    std::string bytes(bytes_max, '\0');
    ssize_t got = 0;
    do {
      got = ::read(file_.fd(), bytes.data(), bytes.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoStatus("read", path_);
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }

 private:
  const File file_;
  const std::string path_;
};

}  // namespace

class FileSourceStore::FileUpload final : public Upload {
 public:
  FileUpload(FileSourceStore& store, std::string space, std::string path, int fd)
      : store_(store), space_(std::move(space)), path_(std::move(path)), file_(fd) {}
  ~FileUpload() override {
    if (!published_) ::unlink(path_.c_str());
    --store_.uploads_;
  }

  absl::Status Append(std::string_view bytes) override {
    size_ += static_cast<std::int64_t>(bytes.size());
    if (size_ > store_.options_.source_bytes_max) {
      return FieldError("content", fmt::format("is larger than the {} bytes that a source may have",
                                               store_.options_.source_bytes_max));
    }
    digest_.Update(bytes);
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.fd(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoStatus("write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<StoredSource> Commit() override {
    if (size_ == 0) return FieldError("content", "is empty: expected a file or an archive");
    if (::fsync(file_.fd()) != 0) return ErrnoStatus("sync", path_);
    StoredSource stored{digest_.Hex(), size_};
    RETURN_IF_ERROR(store_.Publish(path_, {space_, stored.digest}));
    published_ = true;
    return stored;
  }

 private:
  FileSourceStore& store_;
  const std::string space_;
  const std::string path_;
  const File file_;
  Sha256 digest_;
  std::int64_t size_ = 0;
  bool published_ = false;
};

absl::StatusOr<std::unique_ptr<FileSourceStore>> FileSourceStore::Open(Options options) {
  std::unique_ptr<FileSourceStore> store(new FileSourceStore(std::move(options)));
  std::error_code ignored;
  fs::remove_all(store->UploadsFolder(), ignored);
  RETURN_IF_ERROR(MakeFolder(store->UploadsFolder()));
  return store;
}

fs::path FileSourceStore::UploadsFolder() const {
  return fs::path(options_.folder) / kUploadsFolder;
}

fs::path FileSourceStore::PathOf(const SourceName& name) const {
  return fs::path(options_.folder) / name.space / name.digest;
}

absl::StatusOr<std::unique_ptr<SourceStore::Upload>> FileSourceStore::Begin(
    const std::string& space) {
  if (++uploads_ > options_.uploads_max) {
    --uploads_;
    return absl::ResourceExhaustedError(
        fmt::format("{} uploads run already: try again later", options_.uploads_max));
  }
  const std::string path = (UploadsFolder() / NewUuid()).string();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    --uploads_;
    return ErrnoStatus("make", path);
  }
  return std::make_unique<FileUpload>(*this, space, path, fd);
}

absl::Status FileSourceStore::Publish(const std::string& upload, const SourceName& name) {
  const fs::path path = PathOf(name);
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(MakeFolder(path.parent_path()));
  // Also where it is there already: its time, from which the grace counts, is then that of now.
  if (::rename(upload.c_str(), path.c_str()) != 0) return ErrnoStatus("rename", upload);
  RETURN_IF_ERROR(SyncFolder(path.parent_path()));
  return SyncFolder(options_.folder);
}

absl::StatusOr<std::unique_ptr<SourceStore::Reader>> FileSourceStore::Open(const SourceName& name) {
  const std::string path = PathOf(name).string();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT) return ErrnoStatus("open", path);
  if (fd < 0) {
    return absl::NotFoundError(
        fmt::format("Space \"{}\" has no source with the digest {}", name.space, name.digest));
  }
  return std::make_unique<FileReader>(fd, path);
}

absl::StatusOr<bool> FileSourceStore::Exists(const SourceName& name) {
  std::error_code error;
  const bool exists = fs::exists(PathOf(name), error);
  if (!error) return exists;
  return absl::UnavailableError(
      fmt::format("cannot look for the source {}: {}", name.digest, error.message()));
}

absl::StatusOr<std::map<std::string, bool>> FileSourceStore::List(const SourceName& name) {
  RETURN_IF_ERROR(Open(name).status());
  ASSIGN_OR_RETURN(const auto files, archive::List(PathOf(name).string()));
  std::map<std::string, bool> runs;
  for (const auto& [path, info] : files) runs.emplace(path, info.runs);
  return runs;
}

absl::StatusOr<int> FileSourceStore::Sweep(const std::set<SourceName>& used,
                                           WallTime uploaded_before) {
  int removed = 0;
  std::error_code error;
  for (fs::directory_iterator space(options_.folder, error), end; !error && space != end;
       space.increment(error)) {
    if (space->path().filename() == kUploadsFolder) continue;
    std::error_code inner;
    for (fs::directory_iterator file(space->path(), inner); !inner && file != end;
         file.increment(inner)) {
      if (used.contains({space->path().filename(), file->path().filename()})) continue;
      const std::lock_guard lock(mutex_);
      struct stat status {};
      if (::stat(file->path().c_str(), &status) != 0) continue;
      const std::int64_t micros =
          status.st_mtim.tv_sec * std::int64_t{1'000'000} + status.st_mtim.tv_nsec / 1'000;
      if (micros >= ToUnixMicros(uploaded_before)) continue;
      if (::unlink(file->path().c_str()) == 0) ++removed;
    }
    const std::lock_guard lock(mutex_);
    fs::remove(space->path(), inner);  // Unless something is in it.
  }
  if (!error) return removed;
  return absl::UnavailableError(fmt::format("cannot list sources: {}", error.message()));
}

}  // namespace penstock::functions
