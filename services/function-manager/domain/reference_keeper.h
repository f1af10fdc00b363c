// Holds on functions: what other services need cannot be deleted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// One hold, as a request names it.
struct ReferenceInput {
  std::string function;
  std::string holder;

  friend bool operator==(const ReferenceInput&, const ReferenceInput&) = default;
};

// What a function was when it was held.
struct Acquired {
  std::int64_t revision = 0;
  std::string function_uid;
};

struct Reconciled {
  std::int64_t released_count = 0;
  std::vector<ReferenceInput> missing;
  std::int64_t revision = 0;
};

// Adds and removes holds. Never blocks; each callback is called exactly once, on a thread of the
// store or before the call returns. Because each runs as one job of the store's single writer, a
// function is either deleted before it is held, and then the hold fails, or it cannot be deleted.
// Thread-safe. `store` and `spaces` must outlive it and the calls that run.
class ReferenceKeeper {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  ReferenceKeeper(FunctionStore& store, const SpaceRule& spaces);

  // NOT_FOUND when there is no such function. Repeating it is harmless.
  void Acquire(const ReferenceInput& reference, Done<Acquired> done);
  // OK also when it was not held.
  void Release(const ReferenceInput& reference, std::function<void(absl::Status)> done);
  // Replaces all holds of `service`. Holds of functions that do not exist are kept, so that one
  // created later under that name is protected, and reported as missing.
  void Reconcile(std::string service, const std::vector<ReferenceInput>& references,
                 Done<Reconciled> done);

 private:
  FunctionStore& store_;
  const SpaceRule& spaces_;
};

}  // namespace penstock::functions
