// Records as rows of SQLite, and the schema that holds them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/sqlite/connection.h"
#include "services/function-executor/domain/execution.h"

namespace penstock::executor {

sqlite::Schema ExecutionSchema();

// Writes a record. One with the same id is left as it is.
absl::Status InsertExecution(sqlite::Connection& db, const ExecutionRecord& record);

// NOT_FOUND when there is none.
absl::StatusOr<ExecutionRecord> SelectExecution(sqlite::Connection& db, const std::string& space,
                                                const std::string& id);

// At most `query.limit`, newest first.
absl::StatusOr<std::vector<ExecutionRecord>> SelectExecutions(sqlite::Connection& db,
                                                              const ExecutionQuery& query);

struct RetentionLimits {
  WallTime oldest_kept{};  // Records that started before go.
  std::int64_t count_max = 0;
  std::int64_t bytes_max = 0;  // Of the file, without free pages; 0: no limit.
};

// Deletes records that were written first, as far as they are beyond a limit; at most `slice` for
// each limit. Returns how many.
absl::StatusOr<std::int64_t> DeleteOldExecutions(sqlite::Connection& db,
                                                 const RetentionLimits& limits, std::int64_t slice);

}  // namespace penstock::executor
