// Looks into the archives that functions name as their source before the functions are stored.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/ports/source_store.h"

namespace penstock::functions {

// True for a driver whose source is an archive.
bool HasArchive(const ProcessDriver& driver);

// True when what was found of the source of one holds for the other too.
bool UseSourceAlike(const ProcessDriver& a, const ProcessDriver& b);

// Thread-safe. What it is given must outlive it and the checks that run.
class SourceChecks {
 public:
  // Runs work on a thread that may block; false when there is no room for it.
  using Post = std::function<bool(std::function<void()>)>;
  using Done = std::function<void(const absl::Status&)>;

  SourceChecks(SourceStore& sources, Post post) : sources_(sources), post_(std::move(post)) {}

  // INVALID_ARGUMENT when the source that `spec` names, if any, is not there. Blocks.
  absl::Status CheckExists(const std::string& space, const FunctionSpec& spec) const;

  // Reads the archive of `driver`, which has one. INVALID_ARGUMENT, naming the field, when it is
  // not there, when no executor would unpack it, and when it lacks the file to run.
  // RESOURCE_EXHAUSTED when too many wait. `done` runs once, on a thread of `post` or in this call.
  void CheckArchive(const std::string& space, const ProcessDriver& driver, const Done& done) const;

 private:
  absl::Status LookInto(const std::string& space, const ProcessDriver& driver) const;

  SourceStore& sources_;
  const Post post_;
};

}  // namespace penstock::functions
