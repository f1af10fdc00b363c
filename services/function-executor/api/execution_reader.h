// Reads records: what runs now and what is stored, as one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/domain/invoker.h"
#include "services/function-executor/ports/execution_store.h"

namespace penstock::executor {

// The records of this executor. Thread-safe; nothing blocks. Both must outlive it and its reads.
class ExecutionReader {
 public:
  ExecutionReader(const Invoker& invoker, ExecutionStore& store)
      : invoker_(invoker), store_(store) {}

  // NOT_FOUND when there is none. `done` runs once, on any thread; it may keep it busy for a while,
  // unless the record is of an execution that runs.
  void Get(const std::string& space, const std::string& id, ExecutionStore::GetDone done) const;

  // At most `query.limit` records, newest first.
  void List(const ExecutionQuery& query, ExecutionStore::ListDone done) const;

 private:
  const Invoker& invoker_;
  ExecutionStore& store_;
};

}  // namespace penstock::executor
