// Revisions of subscriptions in the state file.
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/subscription_codec.h"
#include "services/event-broker/state/sqlite_lanes.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;

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

// Writes a pending revision; `adopted` is empty for one that adopted nothing.
absl::Status WriteRevision(Connection& connection, const StoredRevision& revision,
                           const std::string& adopted) {
  const Subscription& subscription = revision.subscription;
  // The first revision takes the name; a deletion frees it only when it takes effect.
  if (subscription.revision == 1) RETURN_IF_ERROR(ReserveNames(connection, subscription));
  if (!revision.deleted) RETURN_IF_ERROR(SetRoute(connection, subscription));
  return connection.Run(
      "INSERT INTO revisions (uid, match_revision, effective, deleted, adopted, body) "
      "VALUES (?, ?, NULL, ?, nullif(?, ''), ?)",
      subscription.uid, subscription.match_revision, revision.deleted ? 1 : 0, adopted,
      Blob{ToStored(subscription)});
}

absl::Status ReadRevisions(Connection& connection, std::vector<StoredRevision>& revisions) {
  ASSIGN_OR_RETURN(auto select,
                   connection.Prepare("SELECT body, deleted, effective, adopted FROM revisions "
                                      "ORDER BY uid, match_revision"));
  return select.ForEach([&](const Statement& row) -> absl::Status {
    ASSIGN_OR_RETURN(Subscription subscription, FromStored(row.Bytes(0)));
    subscription.effective_sequence = ToSequence(row.Int(2));
    if (!row.IsNull(2) && subscription.state == SubscriptionState::kPending) {
      subscription.state = SubscriptionState::kActive;
    }
    StoredRevision revision{std::move(subscription), row.Int(1) != 0, nullptr};
    if (!row.IsNull(3)) {
      ASSIGN_OR_RETURN(revision.adopted, LoadLane(connection, revision.subscription.uid));
    }
    revisions.push_back(std::move(revision));
    return absl::OkStatus();
  });
}

absl::Status Activate(Connection& connection, const std::string& uid, std::int64_t revision,
                      Sequence effective) {
  RETURN_IF_ERROR(
      connection.Run("UPDATE revisions SET effective = ? WHERE uid = ? AND match_revision = ? "
                     "AND effective IS NULL",
                     ToColumn(effective), uid, revision));
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
}

absl::Status Drop(Connection& connection, const std::string& uid, std::int64_t revision) {
  std::string adopted;
  {
    ASSIGN_OR_RETURN(auto select,
                     connection.Prepare("SELECT adopted FROM revisions WHERE uid = ? AND "
                                        "match_revision = ? AND effective IS NULL"));
    select.BindAll(uid, revision);
    ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) return absl::OkStatus();
    adopted = select.String(0);
  }
  RETURN_IF_ERROR(
      connection.Run("DELETE FROM revisions WHERE uid = ? AND match_revision = ?", uid, revision));
  if (!adopted.empty()) RETURN_IF_ERROR(ReturnLane(connection, adopted, uid));
  return revision > 1 ? absl::OkStatus() : FreeNames(connection, uid);
}

}  // namespace

absl::StatusOr<std::vector<StoredRevision>> SqliteStateStore::LoadRevisions() {
  std::vector<StoredRevision> revisions;
  RETURN_IF_ERROR(database_->readers().Read(
      [&](Connection& connection) { return ReadRevisions(connection, revisions); }));
  return revisions;
}

void SqliteStateStore::SaveRevision(StoredRevision revision, Done done) {
  database_->writer().Write(
      [revision = std::move(revision)](Connection& connection) {
        return WriteRevision(connection, revision, "");
      },
      std::move(done));
}

void SqliteStateStore::SaveAdopting(const std::string& from_uid, StoredRevision revision,
                                    Result<StoredRevision> done) {
  WriteValue<StoredRevision>(
      [from_uid, revision = std::move(revision)](Connection& connection,
                                                 StoredRevision& stored) -> absl::Status {
        stored = revision;
        Subscription& subscription = stored.subscription;
        RETURN_IF_ERROR(AdoptLane(connection, from_uid, subscription.uid));
        ASSIGN_OR_RETURN(stored.adopted, LoadLane(connection, subscription.uid));
        subscription.start.resolved =
            std::max(subscription.start.resolved, stored.adopted->cursor.floor + 1);
        return WriteRevision(connection, stored, from_uid);
      },
      std::move(done));
}

void SqliteStateStore::ActivateRevision(const std::string& uid, std::int64_t revision,
                                        Sequence effective, Done done) {
  database_->writer().Write(
      [=](Connection& connection) { return Activate(connection, uid, revision, effective); },
      std::move(done));
}

void SqliteStateStore::DropRevision(const std::string& uid, std::int64_t revision, Done done) {
  database_->writer().Write([=](Connection& connection) { return Drop(connection, uid, revision); },
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
      [horizon](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(connection.Run(
            "DELETE FROM revisions WHERE effective IS NOT NULL AND ((deleted AND effective <= ?1) "
            "OR "
            "EXISTS (SELECT 1 FROM revisions AS later WHERE later.uid = revisions.uid AND "
            "later.match_revision > revisions.match_revision AND later.effective <= ?1))",
            ToColumn(horizon)));
        RETURN_IF_ERROR(connection.Run(
            "DELETE FROM ended_cursors WHERE lane NOT IN (SELECT uid FROM revisions)"));
        return connection.Run(
            "DELETE FROM ended_rows WHERE lane NOT IN (SELECT lane FROM ended_cursors)");
      },
      std::move(done));
}

}  // namespace penstock::broker
