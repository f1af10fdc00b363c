// The part of the SQLite store that is about the steps of spaces.
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "services/function-manager/storage/sqlite_function_session.h"

namespace penstock::functions {

absl::StatusOr<SpaceMiddleware> SqliteFunctionSession::GetSpaceMiddleware(
    const std::string& space) {
  SpaceMiddleware middleware;
  middleware.space = space;
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT generation, update_time, steps FROM "
                                       "space_middleware WHERE space = ?"));
  statement.BindAll(space);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return middleware;
  middleware.generation = statement.Int(0);
  middleware.update_time = FromUnixMicros(statement.Int(1));
  middleware.steps = statement.String(2);
  return middleware;
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::PutSpaceMiddleware(
    const SpaceMiddleware& middleware) {
  RETURN_IF_ERROR(connection_.Run(
      "INSERT OR REPLACE INTO space_middleware (space, generation, update_time, steps) "
      "VALUES (?, ?, ?, ?)",
      middleware.space, middleware.generation, ToUnixMicros(middleware.update_time),
      middleware.steps));
  std::vector<std::string> ids;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement,
                     connection_.Prepare("SELECT id FROM functions WHERE space = ? ORDER BY id"));
    statement.BindAll(middleware.space);
    RETURN_IF_ERROR(statement.ForEach([&ids](const sqlite::Statement& row) {
      ids.push_back(row.String(0));
      return absl::OkStatus();
    }));
  }
  std::int64_t revision = 0;
  for (const std::string& id : ids) {
    ASSIGN_OR_RETURN(revision, Touch({middleware.space, id}));
  }
  return revision;
}

}  // namespace penstock::functions
