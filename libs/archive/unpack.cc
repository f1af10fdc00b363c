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

struct Free {
  void operator()(struct ::archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<struct ::archive, Free>;

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
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") return Refused(path, "leaves the archive's folder");
    if (!part.empty() && part != ".") inner /= part;
  }
  return inner;
}

// Makes the folders of `inner` below `folder`. Nothing in there is a link: none is ever made.
absl::Status MakeFolders(const fs::path& folder, const fs::path& inner) {
  std::error_code error;
  fs::create_directories(folder / inner, error);
  if (!error) return absl::OkStatus();
  if (error == std::errc::not_a_directory || error == std::errc::file_exists) {
    return Refused(inner.string(), "is a file and a folder");
  }
  return absl::UnavailableError(
      fmt::format("cannot make {}: {}", (folder / inner).string(), error.message()));
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

// Copies the data of the entry that `reader` is at; `*bytes_left` is what all may still have.
absl::Status CopyData(const Reader& reader, int fd, const fs::path& path,
                      std::int64_t* bytes_left) {
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const la_ssize_t got = ::archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (got < 0) return Broken(reader);
    if (got == 0) return absl::OkStatus();
    *bytes_left -= got;
    if (*bytes_left < 0) {
      return absl::InvalidArgumentError("the archive unfolds to more bytes than are allowed");
    }
    RETURN_IF_ERROR(WriteAll(fd, path, {buffer.data(), static_cast<std::size_t>(got)}));
  }
}

absl::Status UnpackFile(const Reader& reader, struct ::archive_entry* entry, const fs::path& path,
                        std::string_view name, std::int64_t* bytes_left) {
  if (::archive_entry_size_is_set(entry) && ::archive_entry_size(entry) > *bytes_left) {
    return absl::InvalidArgumentError("the archive unfolds to more bytes than are allowed");
  }
  const bool runs = (::archive_entry_perm(entry) & 0100) != 0;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EEXIST || errno == EISDIR)) return Refused(name, "is there twice");
  if (fd < 0) return ErrnoStatus("make", path);
  absl::Status copied = CopyData(reader, fd, path, bytes_left);
  if (copied.ok() && ::fchmod(fd, runs ? 0755 : 0644) != 0) copied = ErrnoStatus("chmod", path);
  ::close(fd);
  return copied;
}

absl::Status UnpackEntry(const Reader& reader, struct ::archive_entry* entry,
                         const fs::path& folder, std::int64_t* bytes_left) {
  const char* const raw = ::archive_entry_pathname(entry);
  const std::string_view name = raw == nullptr ? "" : raw;
  ASSIGN_OR_RETURN(const fs::path inner, InnerPath(name));
  if (::archive_entry_hardlink(entry) != nullptr || ::archive_entry_symlink(entry) != nullptr) {
    return Refused(name, "is a link: expected files and folders only");
  }
  const auto type = ::archive_entry_filetype(entry);
  if (type == AE_IFDIR) return MakeFolders(folder, inner);
  if (type != AE_IFREG) return Refused(name, "is neither a file nor a folder");
  if (inner.empty()) return Refused(name, "has no name");
  RETURN_IF_ERROR(MakeFolders(folder, inner.parent_path()));
  return UnpackFile(reader, entry, folder / inner, name, bytes_left);
}

}  // namespace

absl::Status Unpack(const std::string& file, const std::string& folder,
                    const UnpackLimits& limits) {
  const Reader reader(::archive_read_new());
  if (reader == nullptr) return absl::ResourceExhaustedError("out of memory");
  // These and no others: each format is a parser that strangers can reach.
  ::archive_read_support_filter_gzip(reader.get());
  ::archive_read_support_format_tar(reader.get());
  if (::archive_read_open_filename(reader.get(), file.c_str(), kReadBytes) != ARCHIVE_OK) {
    return Broken(reader);
  }
  std::int64_t files = 0;
  std::int64_t bytes_left = limits.bytes_max;
  for (;;) {
    struct ::archive_entry* entry = nullptr;
    const int result = ::archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) break;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Broken(reader);
    if (++files > limits.files_max) {
      return absl::InvalidArgumentError(
          fmt::format("the archive has more than {} files and folders", limits.files_max));
    }
    RETURN_IF_ERROR(UnpackEntry(reader, entry, folder, &bytes_left));
  }
  if (files == 0) return absl::InvalidArgumentError("the archive is empty");
  return absl::OkStatus();
}

}  // namespace penstock::archive
