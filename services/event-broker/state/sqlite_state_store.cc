#include "services/event-broker/state/sqlite_state_store.h"

#include <cstring>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/subscription_codec.h"
#include "services/event-broker/state/schema.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;

// Acknowledged positions as little-endian 64-bit numbers.
std::string PackSequences(const std::vector<Sequence>& sequences) {
  std::string bytes(sequences.size() * sizeof(Sequence), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), sequences.data(), bytes.size());
  return bytes;
}

std::vector<Sequence> UnpackSequences(std::string_view bytes) {
  std::vector<Sequence> sequences(bytes.size() / sizeof(Sequence));
  if (!sequences.empty()) {
    std::memcpy(sequences.data(), bytes.data(), sequences.size() * sizeof(Sequence));
  }
  return sequences;
}

absl::Status ReserveNames(Connection& connection, const Subscription& subscription) {
  if (auto status = connection.Run("INSERT INTO live_names (space, id, uid) VALUES (?, ?, ?)",
                                   subscription.space, subscription.id, subscription.uid);
      !status.ok()) {
    if (!absl::IsAlreadyExists(status)) return status;
    return absl::AlreadyExistsError("subscription \"" + subscription.Name() + "\" already exists");
  }
  return absl::OkStatus();
}

absl::Status SetRoute(Connection& connection, const Subscription& subscription) {
  RETURN_IF_ERROR(connection.Run("DELETE FROM live_routes WHERE uid = ?", subscription.uid));
  if (!subscription.http) return absl::OkStatus();
  const absl::Status status =
      connection.Run("INSERT INTO live_routes (route_key, uid) VALUES (?, ?)",
                     RouteKey(*subscription.http), subscription.uid);
  if (!absl::IsAlreadyExists(status)) return status;
  return FieldError("http.path", "is already answered by another subscription");
}

absl::Status FreeNames(Connection& connection, const std::string& uid) {
  RETURN_IF_ERROR(connection.Run("DELETE FROM live_names WHERE uid = ?", uid));
  return connection.Run("DELETE FROM live_routes WHERE uid = ?", uid);
}

absl::Status WriteCursors(Connection& connection, const StateTransaction& transaction) {
  RETURN_IF_ERROR(
      connection.Run("INSERT INTO meta (key, value) VALUES ('matched_through', ?1) "
                     "ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
                     static_cast<std::int64_t>(transaction.matched_through)));
  for (const auto& [uid, cursor] : transaction.cursors) {
    RETURN_IF_ERROR(
        connection.Run("INSERT OR REPLACE INTO cursors (uid, floor, acked) VALUES (?, ?, ?)", uid,
                       static_cast<std::int64_t>(cursor.floor), Blob{PackSequences(cursor.acked)}));
  }
  for (const std::string& uid : transaction.cursors_removed) {
    RETURN_IF_ERROR(connection.Run("DELETE FROM cursors WHERE uid = ?", uid));
  }
  return absl::OkStatus();
}

absl::Status WriteRows(Connection& connection, const StateTransaction& transaction) {
  for (const DeliveryKey& key : transaction.rows_removed) {
    RETURN_IF_ERROR(connection.Run("DELETE FROM retry_rows WHERE uid = ? AND sequence = ?", key.uid,
                                   static_cast<std::int64_t>(key.sequence)));
  }
  for (const auto& [uid, row] : transaction.rows) {
    RETURN_IF_ERROR(connection.Run(
        "INSERT OR REPLACE INTO retry_rows (uid, sequence, append_time, attempts_made, lost, "
        "rejected, due, delay, age_from, redrives, attempts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?)",
        uid, static_cast<std::int64_t>(row.position.sequence),
        ToUnixMicros(row.position.append_time), row.attempts_made, row.lost, row.rejected,
        ToUnixMicros(row.due), row.delay.count(), ToUnixMicros(row.age_from), row.redrives,
        Blob{SerializeAttempts(row.log)}));
  }
  for (const std::string& uid : transaction.forgotten) {
    RETURN_IF_ERROR(connection.Run("DELETE FROM cursors WHERE uid = ?", uid));
    RETURN_IF_ERROR(connection.Run("DELETE FROM retry_rows WHERE uid = ?", uid));
  }
  return absl::OkStatus();
}

absl::StatusOr<RetryRow> ReadRow(const Statement& row) {
  RetryRow read;
  read.position = {static_cast<Sequence>(row.Int(1)), FromUnixMicros(row.Int(2))};
  read.attempts_made = static_cast<int>(row.Int(3));
  read.lost = static_cast<int>(row.Int(4));
  read.rejected = static_cast<int>(row.Int(5));
  read.due = FromUnixMicros(row.Int(6));
  read.delay = Microseconds(row.Int(7));
  read.age_from = FromUnixMicros(row.Int(8));
  read.redrives = static_cast<int>(row.Int(9));
  ASSIGN_OR_RETURN(read.log, ParseAttempts(row.Bytes(10)));
  return read;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStateStore>> SqliteStateStore::Open(const std::string& path) {
  sqlite::Database::Options options;
  options.open.path = path;
  options.open.synchronous = sqlite::Synchronous::kFull;
  options.schema = StateSchema();
  options.writer.name = "state-writer";
  options.readers.name = "state-reader";
  options.readers.connections = 2;
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(std::move(options)));
  return std::unique_ptr<SqliteStateStore>(new SqliteStateStore(std::move(database)));
}

absl::StatusOr<std::vector<StoredRevision>> SqliteStateStore::LoadRevisions() {
  std::vector<StoredRevision> revisions;
  const absl::Status status =
      database_->readers().Read([&](Connection& connection) -> absl::Status {
        ASSIGN_OR_RETURN(auto select,
                         connection.Prepare("SELECT body, deleted, effective FROM revisions "
                                            "ORDER BY uid, match_revision"));
        return select.ForEach([&](const Statement& row) -> absl::Status {
          ASSIGN_OR_RETURN(Subscription subscription, FromStored(row.Bytes(0)));
          subscription.effective_sequence = static_cast<Sequence>(row.Int(2));
          if (!row.IsNull(2) && subscription.state == SubscriptionState::kPending) {
            subscription.state = SubscriptionState::kActive;
          }
          revisions.push_back({std::move(subscription), row.Int(1) != 0});
          return absl::OkStatus();
        });
      });
  RETURN_IF_ERROR(status);
  return revisions;
}

absl::StatusOr<SavedDeliveryState> SqliteStateStore::LoadDeliveryState() {
  SavedDeliveryState state;
  const absl::Status status =
      database_->readers().Read([&](Connection& connection) -> absl::Status {
        ASSIGN_OR_RETURN(
            auto meta, connection.Prepare("SELECT value FROM meta WHERE key = 'matched_through'"));
        RETURN_IF_ERROR(meta.ForEach([&](const Statement& row) {
          state.matched_through = static_cast<Sequence>(row.Int(0));
          return absl::OkStatus();
        }));
        ASSIGN_OR_RETURN(auto cursors, connection.Prepare("SELECT uid, floor, acked FROM cursors"));
        RETURN_IF_ERROR(cursors.ForEach([&](const Statement& row) {
          state.cursors[row.String(0)] = {static_cast<Sequence>(row.Int(1)),
                                          UnpackSequences(row.Bytes(2))};
          return absl::OkStatus();
        }));
        ASSIGN_OR_RETURN(
            auto rows, connection.Prepare("SELECT uid, sequence, append_time, attempts_made, lost, "
                                          "rejected, due, delay, age_from, redrives, attempts "
                                          "FROM retry_rows ORDER BY uid, sequence"));
        return rows.ForEach([&](const Statement& row) -> absl::Status {
          ASSIGN_OR_RETURN(RetryRow read, ReadRow(row));
          state.rows[row.String(0)].push_back(std::move(read));
          return absl::OkStatus();
        });
      });
  RETURN_IF_ERROR(status);
  return state;
}

void SqliteStateStore::SaveRevision(StoredRevision revision, Done done) {
  database_->writer().Write(
      [revision = std::move(revision)](Connection& connection) -> absl::Status {
        const Subscription& subscription = revision.subscription;
        // The first revision takes the name; a deletion frees it only when it takes effect.
        if (subscription.revision == 1) RETURN_IF_ERROR(ReserveNames(connection, subscription));
        if (!revision.deleted) RETURN_IF_ERROR(SetRoute(connection, subscription));
        return connection.Run(
            "INSERT INTO revisions (uid, match_revision, effective, deleted, body) "
            "VALUES (?, ?, NULL, ?, ?)",
            subscription.uid, subscription.match_revision, revision.deleted ? 1 : 0,
            Blob{ToStored(subscription)});
      },
      std::move(done));
}

void SqliteStateStore::ActivateRevision(const std::string& uid, std::int64_t revision,
                                        Sequence effective, Done done) {
  database_->writer().Write(
      [=](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(connection.Run(
            "UPDATE revisions SET effective = ? WHERE uid = ? AND match_revision = ? "
            "AND effective IS NULL",
            static_cast<std::int64_t>(effective), uid, revision));
        ASSIGN_OR_RETURN(auto select,
                         connection.Prepare("SELECT deleted FROM revisions WHERE uid = ? AND "
                                            "match_revision = ?"));
        select.BindAll(uid, revision);
        bool deleted = false;
        RETURN_IF_ERROR(select.ForEach([&](const Statement& row) {
          deleted = row.Int(0) != 0;
          return absl::OkStatus();
        }));
        return deleted ? FreeNames(connection, uid) : absl::OkStatus();
      },
      std::move(done));
}

void SqliteStateStore::DropRevision(const std::string& uid, std::int64_t revision, Done done) {
  database_->writer().Write(
      [=](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(connection.Run(
            "DELETE FROM revisions WHERE uid = ? AND match_revision = ? AND effective IS NULL", uid,
            revision));
        if (revision > 1 || connection.changes() == 0) return absl::OkStatus();
        return FreeNames(connection, uid);
      },
      std::move(done));
}

void SqliteStateStore::UpdateInPlace(const Subscription& subscription, Done done) {
  database_->writer().Write(
      [subscription](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(SetRoute(connection, subscription));
        RETURN_IF_ERROR(connection.Run(
            "UPDATE revisions SET body = ? WHERE uid = ? AND match_revision = ?",
            Blob{ToStored(subscription)}, subscription.uid, subscription.match_revision));
        if (connection.changes() == 1) return absl::OkStatus();
        return absl::NotFoundError("subscription \"" + subscription.Name() + "\" not found");
      },
      std::move(done));
}

void SqliteStateStore::PruneRevisions(Sequence horizon, Done done) {
  // A revision may go when a later one of the same subscription took effect at or before the
  // horizon, a deletion when it did so itself.
  database_->writer().Write(
      [horizon](Connection& connection) {
        return connection.Run(
            "DELETE FROM revisions WHERE effective IS NOT NULL AND ((deleted AND effective <= ?1) "
            "OR "
            "EXISTS (SELECT 1 FROM revisions AS later WHERE later.uid = revisions.uid AND "
            "later.match_revision > revisions.match_revision AND later.effective <= ?1))",
            static_cast<std::int64_t>(horizon));
      },
      std::move(done));
}

void SqliteStateStore::Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                              Done done) {
  database_->writer().Write(
      [transaction = std::move(transaction),
       dead = std::move(dead)](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(WriteCursors(connection, transaction));
        RETURN_IF_ERROR(WriteRows(connection, transaction));
        for (const StoredDeadLetter& letter : dead) {
          RETURN_IF_ERROR(WriteDeadLetter(connection, letter));
        }
        for (const DeliveryKey& key : transaction.dead_removed) {
          RETURN_IF_ERROR(connection.Run("DELETE FROM dead_letters WHERE uid = ? AND sequence = ?",
                                         key.uid, static_cast<std::int64_t>(key.sequence)));
        }
        return absl::OkStatus();
      },
      std::move(done));
}

absl::Status SqliteStateStore::Backup(const std::string& path) { return database_->Backup(path); }

}  // namespace penstock::broker
