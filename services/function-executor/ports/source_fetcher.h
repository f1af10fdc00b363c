// Where the sources of process functions come from.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::executor {

// Thread-safe; it must outlive the calls.
class SourceFetcher {
 public:
  using OnBytes = std::function<absl::Status(std::string_view bytes)>;

  virtual ~SourceFetcher() = default;

  // Gives the source with `digest` to `on_bytes`, in pieces and in this thread; an error of that
  // ends the call with the same. Blocks: a minute at most, and not beyond Stop. The digest is for
  // the caller to verify.
  virtual absl::Status Fetch(const std::string& space, const std::string& digest,
                             const OnBytes& on_bytes) = 0;

  // Ends what runs, and refuses what comes, with UNAVAILABLE. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace penstock::executor
