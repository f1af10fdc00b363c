// Where the sources of process functions are kept, by what they hold.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::functions {

// A source is found by its content: two that are equal are one. Spaces do not see each other's.
struct SourceName {
  std::string space;
  std::string digest;  // SHA-256, lower-case hexadecimal.

  friend bool operator==(const SourceName&, const SourceName&) = default;
  friend auto operator<=>(const SourceName&, const SourceName&) = default;
};

struct StoredSource {
  std::string digest;
  std::int64_t size_bytes = 0;
};

// All methods block, and none throws. Thread-safe; an upload and a reader belong to one thread at a
// time. The store must outlive them.
class SourceStore {
 public:
  // A source that is coming in. Dropped before Commit it leaves nothing.
  class Upload {
   public:
    virtual ~Upload() = default;
    // INVALID_ARGUMENT, naming the limit, as soon as the source is larger than allowed.
    virtual absl::Status Append(std::string_view bytes) = 0;
    // Makes the source readable; it is on disk when this answers. Called once, last. An empty
    // source is INVALID_ARGUMENT.
    virtual absl::StatusOr<StoredSource> Commit() = 0;
  };

  class Reader {
   public:
    virtual ~Reader() = default;
    // The next bytes, at most `bytes_max`; none at the end.
    virtual absl::StatusOr<std::string> Read(std::size_t bytes_max) = 0;
  };

  virtual ~SourceStore() = default;

  // RESOURCE_EXHAUSTED when too many uploads run.
  virtual absl::StatusOr<std::unique_ptr<Upload>> Begin(const std::string& space) = 0;

  // NOT_FOUND when there is none.
  virtual absl::StatusOr<std::unique_ptr<Reader>> Open(const SourceName& name) = 0;
  virtual absl::StatusOr<bool> Exists(const SourceName& name) = 0;

  // The files of an archive by path, and whether each may be run. NOT_FOUND when there is none;
  // INVALID_ARGUMENT, saying why, when it is no archive that an executor unpacks.
  virtual absl::StatusOr<std::map<std::string, bool>> List(const SourceName& name) = 0;

  // Deletes what is not in `used` and was last uploaded before `uploaded_before`; how many that
  // were.
  virtual absl::StatusOr<int> Sweep(const std::set<SourceName>& used, WallTime uploaded_before) = 0;
};

}  // namespace penstock::functions
