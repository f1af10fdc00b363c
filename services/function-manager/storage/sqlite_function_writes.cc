#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/storage/spec_json.h"
#include "services/function-manager/storage/sqlite_function_session.h"

namespace penstock::functions {

absl::StatusOr<std::int64_t> SqliteFunctionSession::NextRevision() {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("UPDATE counters SET value = value + 1 "
                                       "WHERE key = 'revision' RETURNING value"));
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return absl::DataLossError("the store lacks its counter revision");
  last_revision_ = statement.Int(0);
  return last_revision_;
}

absl::Status SqliteFunctionSession::Put(Function& function) {
  ASSIGN_OR_RETURN(const bool exists, Exists(function.name));
  ASSIGN_OR_RETURN(function.revision, NextRevision());
  RETURN_IF_ERROR(connection_.Run(
      "INSERT INTO versions (uid, version, revision, update_time, metadata, spec, state, "
      "state_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      function.uid, function.version, function.revision, ToUnixMicros(function.update_time),
      StringsToJson(function.spec.metadata), SpecToJson(function.spec),
      static_cast<std::int64_t>(function.state), function.state_reason));
  RETURN_IF_ERROR(connection_.Run(
      "INSERT INTO functions (space, id, uid, version, revision, create_time, creator, "
      "generation, traffic, aliases) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (space, id) DO UPDATE SET uid = excluded.uid, version = excluded.version, "
      "revision = excluded.revision, create_time = excluded.create_time, "
      "creator = excluded.creator, generation = excluded.generation, traffic = excluded.traffic, "
      "aliases = excluded.aliases",
      function.name.space, function.name.id, function.uid, function.version, function.revision,
      ToUnixMicros(function.create_time), function.creator, function.generation,
      TrafficToJson(function.traffic), AliasesToJson(function.aliases)));
  if (!exists) ++count_change_;
  return absl::OkStatus();
}

absl::Status SqliteFunctionSession::Save(Function& function) {
  ASSIGN_OR_RETURN(function.revision, NextRevision());
  return connection_.Run(
      "UPDATE functions SET revision = ?, generation = ?, traffic = ?, aliases = ? WHERE uid = ?",
      function.revision, function.generation, TrafficToJson(function.traffic),
      AliasesToJson(function.aliases), function.uid);
}

absl::Status SqliteFunctionSession::SetState(const std::string& uid, std::int64_t version,
                                             FunctionState state, const std::string& reason) {
  return connection_.Run(
      "UPDATE versions SET state = ?, state_reason = ? WHERE uid = ? AND version = ?",
      static_cast<std::int64_t>(state), reason, uid, version);
}

absl::Status SqliteFunctionSession::RemoveVersions(const Function& function,
                                                   const std::vector<std::int64_t>& versions) {
  for (const std::int64_t version : versions) {
    RETURN_IF_ERROR(connection_.Run("DELETE FROM versions WHERE uid = ? AND version = ?",
                                    function.uid, version));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::Remove(const FunctionName& name) {
  std::string uid;
  std::int64_t version = 0;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement,
                     connection_.Prepare("DELETE FROM functions WHERE space = ? AND id = ? "
                                         "RETURNING uid, version"));
    statement.BindAll(name.space, name.id);
    ASSIGN_OR_RETURN(const bool has_row, statement.Step());
    if (!has_row) return FunctionNotFound(name);
    uid = statement.String(0);
    version = statement.Int(1);
  }
  RETURN_IF_ERROR(connection_.Run("DELETE FROM versions WHERE uid = ?", uid));
  ASSIGN_OR_RETURN(const std::int64_t revision, NextRevision());
  RETURN_IF_ERROR(connection_.Run(
      "INSERT INTO deletions (revision, space, id, uid, version) VALUES (?, ?, ?, ?, ?)", revision,
      name.space, name.id, uid, version));
  RETURN_IF_ERROR(ForgetDeletions(connection_.last_insert_rowid()));
  --count_change_;
  return revision;
}

absl::Status SqliteFunctionSession::ForgetDeletions(std::int64_t sequence) {
  std::int64_t forgotten = 0;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement,
                     connection_.Prepare("DELETE FROM deletions WHERE sequence <= ? "
                                         "RETURNING revision"));
    statement.BindAll(sequence - deletions_kept_);
    RETURN_IF_ERROR(statement.ForEach([&forgotten](const sqlite::Statement& row) {
      forgotten = std::max(forgotten, row.Int(0));
      return absl::OkStatus();
    }));
  }
  if (forgotten == 0) return absl::OkStatus();
  return connection_.Run("UPDATE counters SET value = ? WHERE key = 'resumable_from'", forgotten);
}

absl::Status SqliteFunctionSession::AddHold(const Hold& hold) {
  return connection_.Run(
      "INSERT OR IGNORE INTO holds (space, id, tag, holder, service) VALUES (?, ?, ?, ?, ?)",
      hold.function.space, hold.function.id, hold.tag, hold.holder, hold.service);
}

absl::Status SqliteFunctionSession::RemoveHold(const Hold& hold) {
  return connection_.Run("DELETE FROM holds WHERE space = ? AND id = ? AND tag = ? AND holder = ?",
                         hold.function.space, hold.function.id, hold.tag, hold.holder);
}

absl::Status SqliteFunctionSession::InitCounters(std::int64_t revision) {
  return connection_.Run(
      "INSERT OR IGNORE INTO counters (key, value) VALUES ('revision', ?1), ('resumable_from', ?1)",
      revision);
}

}  // namespace penstock::functions
