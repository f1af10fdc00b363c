// Where records of ended executions are kept.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/execution.h"

namespace penstock::executor {

// Thread-safe. Nothing here blocks: all of it may be called on a gRPC callback thread.
class ExecutionStore {
 public:
  using GetDone = std::function<void(absl::StatusOr<ExecutionRecord>)>;
  using ListDone = std::function<void(absl::StatusOr<std::vector<ExecutionRecord>>)>;

  virtual ~ExecutionStore() = default;

  // Takes a record, to be written soon. Get and List see it from now on. `taken` (may be empty)
  // runs once: inside this call, or, when too many records wait to be written, as soon as there is
  // room; callers hold their next work back until then. A record that comes while many wait may
  // lose its bodies and logs.
  virtual void Append(ExecutionRecord record, std::function<void()> taken) = 0;

  // The record `id` of `space`; NOT_FOUND when there is none. `done` runs once, on any thread,
  // which it may keep busy for a while.
  virtual void Get(const std::string& space, const std::string& id, GetDone done) = 0;

  // At most `query.limit` records, in the order of ExecutionPosition, newest first.
  virtual void List(const ExecutionQuery& query, ListDone done) = 0;

  // Writes what was taken and ends; later records are dropped and counted, reads are UNAVAILABLE.
  // Idempotent, blocks.
  virtual void Stop() = 0;
};

}  // namespace penstock::executor
