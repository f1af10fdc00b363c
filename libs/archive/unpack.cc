#include "libs/archive/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>

#include "fmt/format.h"
#include "libs/base/status.h"

namespace penstock::archive {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kPathMax = 1024;
constexpr std::size_t kPartMax = 255;  // As file systems have it.
constexpr int kDepthMax = 64;

struct Free {
  void operator()(struct ::archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<struct ::archive, Free>;

bool IsGzip(const std::string& file) {
  std::array<char, 2> magic{};
  std::ifstream(file, std::ios::binary).read(magic.data(), magic.size());
  return magic == std::array{'\x1f', '\x8b'};
}

absl::Status Broken(const Reader& reader) {
  const char* const text = ::archive_error_string(reader.get());
  return absl::InvalidArgumentError(
      fmt::format("the source is not a tar archive that can be read: {}",
                  text == nullptr ? "unknown format" : text));
}

absl::Status Refused(std::string_view path, std::string_view problem) {
  return absl::InvalidArgumentError(
      fmt::format("the archive's entry \"{}\" {}", path.substr(0, 200), problem));
}

absl::Status ErrnoStatus(std::string_view action, const fs::path& path) {
  return absl::UnavailableError(
      fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(errno)));
}

// The path below the folder, without "." parts; or an error.
absl::StatusOr<fs::path> InnerPath(std::string_view path) {
  if (path.size() > kPathMax) return Refused(path, "has too long a path");
  if (path.starts_with('/')) return Refused(path, "has an absolute path");
  fs::path inner;
  int depth = -1;  // The last part is in the folders before it.
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") return Refused(path, "leaves the archive's folder");
    if (part.empty() || part == ".") continue;
    if (part.native().size() > kPartMax) return Refused(path, "has too long a name in its path");
    if (++depth > kDepthMax) {
      return Refused(path, fmt::format("is more than {} folders deep", kDepthMax));
    }
    inner /= part;
  }
  return inner;
}

// What an archive may still unfold to.
class Budget {
 public:
  explicit Budget(const UnpackLimits& limits)
      : limits_(limits),
        entries_left_(limits.files_max),
        folders_left_(limits.files_max),
        bytes_left_(limits.bytes_max) {}

  absl::Status TakeEntry() { return TakeOne(&entries_left_, "files and folders"); }
  absl::Status TakeFolder() { return TakeOne(&folders_left_, "folders"); }

  absl::Status TakeBytes(std::int64_t bytes) {
    if (bytes < 0 || bytes > bytes_left_) {
      return absl::InvalidArgumentError("the archive unfolds to more bytes than are allowed");
    }
    bytes_left_ -= bytes;
    return absl::OkStatus();
  }

 private:
  absl::Status TakeOne(std::int64_t* left, std::string_view of_what) {
    if (--*left >= 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("the archive has more than {} {}", limits_.files_max, of_what));
  }

  const UnpackLimits limits_;
  std::int64_t entries_left_;
  std::int64_t folders_left_;
  std::int64_t bytes_left_;
};

// Makes the folders of `inner` below `folder`. Nothing in there is a link: none is ever made.
absl::Status MakeFolders(const fs::path& folder, const fs::path& inner, Budget& budget) {
  fs::path path = folder;
  for (const fs::path& part : inner) {
    path /= part;
    struct stat status {};
    if (::mkdir(path.c_str(), 0755) == 0) {
      RETURN_IF_ERROR(budget.TakeFolder());
      if (::chmod(path.c_str(), 0755) != 0) return ErrnoStatus("chmod", path);
    } else if (errno != EEXIST) {
      return ErrnoStatus("make", path);
    } else if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
      return Refused(inner.string(), "is a file and a folder");
    }
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, const fs::path& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

using OnBytes = std::function<absl::Status(std::string_view bytes)>;

// Reads the data of the entry that `reader` is at. What an archive says of sizes is not trusted.
absl::Status ReadData(const Reader& reader, Budget& budget, const OnBytes& on_bytes) {
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const la_ssize_t got = ::archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (got < 0) return Broken(reader);
    if (got == 0) return absl::OkStatus();
    RETURN_IF_ERROR(budget.TakeBytes(got));
    RETURN_IF_ERROR(on_bytes({buffer.data(), static_cast<std::size_t>(got)}));
  }
}

// An entry that may be unpacked, which the reader is at.
struct Entry {
  std::string name;  // As the archive has it.
  fs::path inner;
  bool is_folder = false;
  bool runs = false;
  std::int64_t size_bytes = 0;  // As the archive says.
};

absl::StatusOr<Entry> CheckEntry(struct ::archive_entry* given) {
  Entry entry;
  if (const char* const raw = ::archive_entry_pathname(given)) entry.name = raw;
  ASSIGN_OR_RETURN(entry.inner, InnerPath(entry.name));
  if (::archive_entry_hardlink(given) != nullptr || ::archive_entry_symlink(given) != nullptr) {
    return Refused(entry.name, "is a link: expected files and folders only");
  }
  const auto type = ::archive_entry_filetype(given);
  entry.is_folder = type == AE_IFDIR;
  if (!entry.is_folder && type != AE_IFREG) {
    return Refused(entry.name, "is neither a file nor a folder");
  }
  if (!entry.is_folder && entry.inner.empty()) return Refused(entry.name, "has no name");
  entry.runs = (::archive_entry_perm(given) & 0100) != 0;
  if (::archive_entry_size_is_set(given)) entry.size_bytes = ::archive_entry_size(given);
  // It would be unfolded to come to the next entry.
  if (entry.is_folder && entry.size_bytes != 0) return Refused(entry.name, "has content");
  return entry;
}

// Calls `on_entry` for each entry, until the first error.
absl::Status ForEachEntry(
    const std::string& file, Budget& budget,
    const std::function<absl::Status(const Reader& reader, const Entry& entry)>& on_entry) {
  const Reader reader(::archive_read_new());
  if (reader == nullptr) return absl::ResourceExhaustedError("out of memory");
  // These and no others: each format is a parser that strangers can reach. Gzip once: left to
  // itself the library would look for more of it inside.
  if (IsGzip(file)) ::archive_read_append_filter(reader.get(), ARCHIVE_FILTER_GZIP);
  ::archive_read_support_format_tar(reader.get());
  if (::archive_read_open_filename(reader.get(), file.c_str(), kReadBytes) != ARCHIVE_OK) {
    return Broken(reader);
  }
  for (bool is_empty = true;; is_empty = false) {
    struct ::archive_entry* given = nullptr;
    const int result = ::archive_read_next_header(reader.get(), &given);
    if (result == ARCHIVE_EOF && is_empty) {
      return absl::InvalidArgumentError("the archive is empty");
    }
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Broken(reader);
    RETURN_IF_ERROR(budget.TakeEntry());
    ASSIGN_OR_RETURN(const Entry entry, CheckEntry(given));
    RETURN_IF_ERROR(on_entry(reader, entry));
  }
}

absl::Status UnpackFile(const Reader& reader, const Entry& entry, const fs::path& folder,
                        Budget& budget) {
  // Before its first byte is written.
  RETURN_IF_ERROR(Budget(budget).TakeBytes(entry.size_bytes));
  RETURN_IF_ERROR(MakeFolders(folder, entry.inner.parent_path(), budget));
  const fs::path path = folder / entry.inner;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EEXIST || errno == EISDIR)) return Refused(entry.name, "is there twice");
  if (fd < 0) return ErrnoStatus("make", path);
  absl::Status copied =
      ReadData(reader, budget, [&](std::string_view bytes) { return WriteAll(fd, path, bytes); });
  if (copied.ok() && ::fchmod(fd, entry.runs ? 0755 : 0644) != 0) {
    copied = ErrnoStatus("chmod", path);
  }
  ::close(fd);
  return copied;
}

}  // namespace

absl::Status Unpack(const std::string& file, const std::string& folder,
                    const UnpackLimits& limits) {
  Budget budget(limits);
  return ForEachEntry(file, budget, [&](const Reader& reader, const Entry& entry) {
    if (entry.is_folder) return MakeFolders(folder, entry.inner, budget);
    return UnpackFile(reader, entry, folder, budget);
  });
}

absl::StatusOr<std::map<std::string, FileInfo>> List(const std::string& file,
                                                     const UnpackLimits& limits) {
  std::map<std::string, FileInfo> files;
  Budget budget(limits);
  const absl::Status walked =
      ForEachEntry(file, budget, [&](const Reader& reader, const Entry& entry) -> absl::Status {
        if (entry.is_folder) return absl::OkStatus();
        RETURN_IF_ERROR(
            ReadData(reader, budget, [](std::string_view) { return absl::OkStatus(); }));
        const bool is_new = files.emplace(entry.inner.string(), FileInfo{entry.runs}).second;
        return is_new ? absl::OkStatus() : Refused(entry.name, "is there twice");
      });
  RETURN_IF_ERROR(walked);
  return files;
}

}  // namespace penstock::archive
