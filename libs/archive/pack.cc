#include "libs/archive/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <system_error>

#include "fmt/format.h"
#include "libs/base/status.h"

namespace penstock::archive {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;

struct Free {
  void operator()(struct ::archive* writer) const { ::archive_write_free(writer); }
  void operator()(struct ::archive_entry* entry) const { ::archive_entry_free(entry); }
};
using Writer = std::unique_ptr<struct ::archive, Free>;
using Entry = std::unique_ptr<struct ::archive_entry, Free>;

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

absl::Status Failed(const Writer& writer) {
  const char* const text = ::archive_error_string(writer.get());
  return absl::UnavailableError(
      fmt::format("cannot write the archive: {}", text == nullptr ? "unknown error" : text));
}

// The files by their paths below `folder`, in order.
absl::StatusOr<std::map<std::string, fs::path>> FilesOf(
    const fs::path& folder, const std::function<bool(const std::string&)>& skip) {
  std::map<std::string, fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string inner = it->path().lexically_relative(folder).generic_string();
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (skip && skip(inner)) {
      if (fs::is_directory(status)) it.disable_recursion_pending();
      continue;
    }
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status)) {
      return absl::InvalidArgumentError(fmt::format(
          "{} is a link or a special file: expected files and folders only", it->path().string()));
    }
    files.emplace(inner, it->path());
  }
  if (error) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  }
  return files;
}

absl::Status AddFile(const Writer& writer, const std::string& inner, const fs::path& path) {
  struct stat status {};
  std::ifstream in(path, std::ios::binary);
  if (!in || ::stat(path.c_str(), &status) != 0) {
    return absl::InvalidArgumentError(fmt::format("cannot read {}", path.string()));
  }
  const Entry entry(::archive_entry_new());
  ::archive_entry_set_pathname(entry.get(), inner.c_str());
  ::archive_entry_set_filetype(entry.get(), AE_IFREG);
  ::archive_entry_set_perm(entry.get(), (status.st_mode & 0100) != 0 ? 0755 : 0644);
  ::archive_entry_set_size(entry.get(), status.st_size);
  ::archive_entry_set_mtime(entry.get(), 0, 0);
  if (::archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK) return Failed(writer);
  std::array<char, kReadBytes> buffer;
  la_int64_t left = status.st_size;
  while (left > 0 && in.read(buffer.data(), buffer.size()).gcount() > 0) {
    const auto got = static_cast<std::size_t>(std::min<la_int64_t>(in.gcount(), left));
    if (::archive_write_data(writer.get(), buffer.data(), got) < 0) return Failed(writer);
    left -= static_cast<la_int64_t>(got);
  }
  if (left == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{} changed while it was read", path.string()));
}

}  // namespace

absl::StatusOr<int> Pack(const std::string& folder, const std::string& file,
                         const std::function<bool(const std::string& path)>& skip) {
  ASSIGN_OR_RETURN(const auto files, FilesOf(folder, skip));
  const Writer writer(::archive_write_new());
  if (writer == nullptr) return absl::ResourceExhaustedError("out of memory");
  // The time in gzip's header would make equal files unequal. Names are bytes, whatever the locale
  // says; where all are ASCII that needs no header of its own for each file.
  const bool is_ascii = std::all_of(files.begin(), files.end(),
                                    [](const auto& entry) { return IsAscii(entry.first); });
  const char* const options =
      is_ascii ? "gzip:!timestamp" : "gzip:!timestamp,pax:hdrcharset=BINARY";
  if (::archive_write_add_filter_gzip(writer.get()) != ARCHIVE_OK ||
      ::archive_write_set_format_pax_restricted(writer.get()) != ARCHIVE_OK ||
      ::archive_write_set_options(writer.get(), options) != ARCHIVE_OK ||
      ::archive_write_open_filename(writer.get(), file.c_str()) != ARCHIVE_OK) {
    return Failed(writer);
  }
  for (const auto& [inner, path] : files) RETURN_IF_ERROR(AddFile(writer, inner, path));
  if (::archive_write_close(writer.get()) != ARCHIVE_OK) return Failed(writer);
  return static_cast<int>(files.size());
}

}  // namespace penstock::archive
