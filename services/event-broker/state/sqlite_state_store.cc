#include "services/event-broker/state/sqlite_state_store.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/state/schema.h"

namespace penstock::broker {

namespace {

absl::StatusOr<std::int64_t> ReadEpoch(sqlite::Connection& connection) {
  ASSIGN_OR_RETURN(auto meta, connection.Prepare("SELECT value FROM meta WHERE key = 'epoch'"));
  ASSIGN_OR_RETURN(const bool found, meta.Step());
  return found ? meta.Int(0) : 0;
}

absl::Status CheckEpoch(sqlite::Connection& connection, std::int64_t ours) {
  ASSIGN_OR_RETURN(const std::int64_t stored, ReadEpoch(connection));
  if (stored == ours) return absl::OkStatus();
  return absl::AbortedError(fmt::format(
      "another event-broker has taken over this state (its epoch is {}, ours {}); end one of them",
      stored, ours));
}

absl::Status RaiseEpoch(sqlite::Connection& connection, std::int64_t& raised) {
  ASSIGN_OR_RETURN(const std::int64_t stored, ReadEpoch(connection));
  raised = stored + 1;
  return connection.Run("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)", raised);
}

}  // namespace

SqliteStateStore::SqliteStateStore(std::unique_ptr<sqlite::Database> database, StateOptions options,
                                   Epoch epoch)
    : database_(std::move(database)), options_(options), epoch_(std::move(epoch)) {}

absl::StatusOr<std::unique_ptr<SqliteStateStore>> SqliteStateStore::Open(const std::string& path,
                                                                         StateOptions options) {
  if (options.clock == nullptr) options.clock = &SystemClock();
  sqlite::Database::Options database_options;
  database_options.open.path = path;
  database_options.open.synchronous = sqlite::Synchronous::kFull;
  database_options.schema = StateSchema();
  database_options.writer.name = "state-writer";
  // Only the writer's thread reads it while it is 0: raising it is the first write.
  const Epoch epoch = std::make_shared<std::int64_t>(0);
  database_options.writer.guard = [epoch](sqlite::Connection& connection) {
    return *epoch == 0 ? absl::OkStatus() : CheckEpoch(connection, *epoch);
  };
  database_options.readers.name = "state-reader";
  database_options.readers.connections = 2;
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(std::move(database_options)));
  RETURN_IF_ERROR(database->writer().WriteAndWait(
      [&epoch](sqlite::Connection& connection) { return RaiseEpoch(connection, *epoch); }));
  return std::unique_ptr<SqliteStateStore>(
      new SqliteStateStore(std::move(database), options, epoch));
}

}  // namespace penstock::broker
