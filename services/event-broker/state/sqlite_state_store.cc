#include "services/event-broker/state/sqlite_state_store.h"

#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/state/schema.h"

namespace penstock::broker {

SqliteStateStore::SqliteStateStore(std::unique_ptr<sqlite::Database> database, StateOptions options)
    : database_(std::move(database)), options_(options) {}

absl::StatusOr<std::unique_ptr<SqliteStateStore>> SqliteStateStore::Open(const std::string& path,
                                                                         StateOptions options) {
  if (options.clock == nullptr) options.clock = &SystemClock();
  sqlite::Database::Options database_options;
  database_options.open.path = path;
  database_options.open.synchronous = sqlite::Synchronous::kFull;
  database_options.schema = StateSchema();
  database_options.writer.name = "state-writer";
  database_options.readers.name = "state-reader";
  database_options.readers.connections = 2;
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(std::move(database_options)));
  return std::unique_ptr<SqliteStateStore>(new SqliteStateStore(std::move(database), options));
}

}  // namespace penstock::broker
