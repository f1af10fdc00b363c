// How the broker keeps functions that it names from being deleted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::broker {

// Thread-safe; never blocks; `done` is called exactly once, on a thread of the implementation.
class FunctionReferences {
 public:
  struct Reference {
    std::string function;  // spaces/{space}/functions/{function}
    std::string holder;    // spaces/{space}/subscriptions/{subscription}
  };

  virtual ~FunctionReferences() = default;

  // Holds the function for `holder`; gives the function-manager's revision. NOT_FOUND when there is
  // none.
  virtual void Acquire(Reference reference,
                       std::function<void(absl::StatusOr<std::int64_t>)> done) = 0;
  virtual void Release(Reference reference, std::function<void(absl::Status)> done) = 0;
  // Replaces all holds of this broker; gives those whose function does not exist.
  virtual void Reconcile(std::vector<Reference> references,
                         std::function<void(absl::StatusOr<std::vector<Reference>>)> done) = 0;
};

}  // namespace penstock::broker
