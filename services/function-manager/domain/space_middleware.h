// The steps of a space, and the rules for reading and changing them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::functions {

class FunctionStore;
class ProgramChecks;
class SpaceRule;

// Each space has one; it is as below until it is set.
struct SpaceMiddleware {
  std::string space;
  std::int64_t generation = 0;  // Counts the changes.
  WallTime update_time{};       // Of the last change.
  std::string steps;            // As FunctionSpec::middleware.

  // "spaces/{space}/middleware".
  std::string Name() const;
  std::string Etag() const;

  friend bool operator==(const SpaceMiddleware&, const SpaceMiddleware&) = default;
};

struct SpaceMiddlewareMutation {
  SpaceMiddleware middleware;
  std::int64_t revision = 0;  // 0 when no function was touched.
};

// As FunctionCatalog: checks requests and runs them on the store, never blocks, calls back once,
// thread-safe; what it is given must outlive it and its calls.
class SpaceMiddlewareCatalog {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  // Without `programs` the programs of steps are not compiled.
  SpaceMiddlewareCatalog(FunctionStore& store, const Clock& clock, const SpaceRule& spaces,
                         const ProgramChecks* programs = nullptr);

  void Get(const std::string& name, Done<SpaceMiddleware> done);
  // Replaces the steps; each function of the space is announced again with them. ABORTED when
  // `etag` is set and stale.
  void Update(const std::string& name, const std::string& etag, std::string steps,
              Done<SpaceMiddlewareMutation> done);

 private:
  void UpdateChecked(const std::string& space, const std::string& etag, const std::string& steps,
                     Done<SpaceMiddlewareMutation> done);
  absl::StatusOr<std::string> ParseName(std::string_view field, std::string_view name) const;

  FunctionStore& store_;
  const Clock& clock_;
  const SpaceRule& spaces_;
  const ProgramChecks* const programs_;
};

}  // namespace penstock::functions
