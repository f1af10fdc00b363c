// Which revisions of the services' state clients have seen, so that what follows sees them too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::gateway {

// "<service>:<number>" as services and clients write it.
struct Revision {
  std::string service;
  std::int64_t number = 0;

  std::string ToString() const;
};

// Parses one revision. The error names the header Penstock-Revision.
absl::StatusOr<Revision> ParseRevision(std::string_view text);

// Parses a comma-separated list of revisions, as a client echoes it.
absl::StatusOr<std::vector<Revision>> ParseRevisions(std::string_view text);

// The highest revision that each service gave for each space. Remembers a bounded number of spaces:
// of those forgotten a call may see older state for a moment. Thread-safe.
class RevisionMemory {
 public:
  explicit RevisionMemory(std::size_t spaces_max = 10'000);

  void Remember(std::string_view space, const Revision& revision);
  // The highest of what is remembered for the space and of `echoed`, one for each service, as text.
  std::vector<std::string> For(std::string_view space, const std::vector<Revision>& echoed) const;

 private:
  using ByService = std::map<std::string, std::int64_t, std::less<>>;

  const std::size_t spaces_max_;
  mutable std::mutex mutex_;
  std::map<std::string, ByService, std::less<>> spaces_;
};

}  // namespace penstock::gateway
