// The rules for sources: who may store which, and when one goes.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/ports/function_store.h"
#include "services/function-manager/ports/source_store.h"

namespace penstock::functions {

// Checks requests and runs them on the source store. Thread-safe. All that it is given must outlive
// it.
class SourceKeeper {
 public:
  using SweepDone = std::function<void(absl::StatusOr<int> removed)>;

  SourceKeeper(FunctionStore& store, SourceStore& sources, const Clock& clock,
               const SpaceRule& spaces, Microseconds grace)
      : store_(store), sources_(sources), clock_(clock), spaces_(spaces), grace_(grace) {}

  // Both block. INVALID_ARGUMENT names the field.
  absl::StatusOr<std::unique_ptr<SourceStore::Upload>> Begin(const std::string& parent);
  absl::StatusOr<std::unique_ptr<SourceStore::Reader>> Open(const std::string& parent,
                                                            const std::string& digest);

  // Deletes the sources that no version names and that were uploaded longer ago than the grace.
  // Never blocks; `done`, with how many that were, is called as by FunctionStore::Write.
  void Sweep(SweepDone done);

 private:
  void SweepBut(const std::shared_ptr<std::set<SourceName>>& used, SweepDone done);

  FunctionStore& store_;
  SourceStore& sources_;
  const Clock& clock_;
  const SpaceRule& spaces_;
  const Microseconds grace_;
};

}  // namespace penstock::functions
