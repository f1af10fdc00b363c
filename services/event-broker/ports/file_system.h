// Files as the storage adapters need them: few calls, each with its durability stated, so that a
// simulated disk can stand in and lose exactly what a real one may lose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::broker {

// Error codes of everything here: NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED (no space left),
// PERMISSION_DENIED (no right, or a read-only file system), INTERNAL (input/output error and the
// rest).

// An open file, closed by the destructor. Reads may run beside one writing thread.
class File {
 public:
  virtual ~File() = default;

  // Writes all `pieces` one behind the other from `offset` on. After an error any part of them may
  // be there.
  virtual absl::Status WriteAt(std::uint64_t offset, std::span<const std::string_view> pieces) = 0;
  // Reads up to `size` bytes; fewer only at the end of the file.
  virtual absl::StatusOr<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) = 0;
  // Makes contents and size durable (fdatasync). After an error nothing is known about earlier
  // writes.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(std::uint64_t size) = 0;
  // Makes the file `size` bytes long with space set aside for them.
  virtual absl::Status Allocate(std::uint64_t size) = 0;
  virtual absl::StatusOr<std::uint64_t> Size() = 0;
  // Asks that the next read of these bytes comes from the device, not from a cache. Best effort.
  virtual void DropCache(std::uint64_t offset, std::uint64_t size) = 0;
};

enum class OpenMode : std::uint8_t { kRead, kReadWrite };

// A folder. Names are plain file names in it. Creations, removals and renames are durable only
// after Sync().
class Folder {
 public:
  virtual ~Folder() = default;

  // Creates a file that must not exist yet, open for reading and writing.
  virtual absl::StatusOr<std::unique_ptr<File>> Create(const std::string& name) = 0;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& name, OpenMode mode) = 0;
  // The names of all files, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  virtual absl::Status Unlink(const std::string& name) = 0;
  // Replaces `to` if it exists.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Sync() = 0;
};

// Thread-safe, as are the folders it gives.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Opens the folder at `path`, creating it and its parents if necessary.
  virtual absl::StatusOr<std::unique_ptr<Folder>> OpenFolder(const std::string& path) = 0;
};

}  // namespace penstock::broker
