#include <fmt/format.h>

#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/connection.h"
#include "libs/sqlite/internal.h"

namespace penstock::sqlite {
namespace {

absl::Status CheckOwner(SQLite::Database& database, const Schema& schema) {
  const std::int64_t owner = database.execAndGet("PRAGMA application_id").getInt64();
  const std::int64_t version = database.execAndGet("PRAGMA user_version").getInt64();
  const std::int64_t tables = database.execAndGet("SELECT count(*) FROM sqlite_master").getInt64();
  const bool fresh = owner == 0 && version == 0 && tables == 0;
  if (!fresh && owner != schema.application_id) {
    return WithReason(absl::FailedPreconditionError(fmt::format(
                          "is not this store's database: application_id is {}, expected {}", owner,
                          schema.application_id)),
                      "FOREIGN_DATABASE");
  }
  const auto known = static_cast<std::int64_t>(schema.migrations.size());
  if (version < 0 || version > known) {
    return WithReason(
        absl::FailedPreconditionError(fmt::format(
            "has schema version {}, and this build knows versions up to {}: it was written by a "
            "newer release; the file is left untouched",
            version, known)),
        "SCHEMA_TOO_NEW");
  }
  return absl::OkStatus();
}

// Applies step `next` unless the file has it already.
absl::Status MigrateFrom(Connection& connection, SQLite::Database& database, const Schema& schema,
                         std::size_t next) {
  return connection.InTransaction([&]() -> absl::Status {
    // Read inside the transaction: another process may be migrating the same file.
    RETURN_IF_ERROR(CheckOwner(database, schema));
    const std::int64_t version = database.execAndGet("PRAGMA user_version").getInt64();
    if (version != static_cast<std::int64_t>(next)) return absl::OkStatus();
    database.exec(schema.migrations[next]);
    database.exec(fmt::format("PRAGMA application_id = {}", schema.application_id));
    database.exec(fmt::format("PRAGMA user_version = {}", next + 1));
    return absl::OkStatus();
  });
}

}  // namespace

absl::Status UnderPath(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status result(status.code(), fmt::format("{}: {}", path,
                                                 std::string_view(status.message().data(),
                                                                  status.message().size())));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::OpenAndMigrate(OpenOptions options,
                                                                       const Schema& schema) {
  AssertMayBlock("sqlite");
  if (schema.application_id == 0 || options.read_only) {
    return absl::InvalidArgumentError("OpenAndMigrate needs an application id and write access");
  }
  const std::string path = options.path;
  std::unique_ptr<Connection> connection;
  const absl::Status status = Guarded([&]() -> absl::Status {
    connection.reset(new Connection(std::make_unique<Impl>(std::move(options))));
    // Before Configure: WAL mode would already change a foreign file.
    RETURN_IF_ERROR(CheckOwner(connection->impl_->database, schema));
    RETURN_IF_ERROR(connection->impl_->Configure());
    for (std::size_t next = 0; next < schema.migrations.size(); ++next) {
      RETURN_IF_ERROR(MigrateFrom(*connection, connection->impl_->database, schema, next));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return UnderPath(path, status);
  return connection;
}

}  // namespace penstock::sqlite
