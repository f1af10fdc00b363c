// Replays in the state file.
#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/state/sqlite_lanes.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Connection;
using sqlite::Statement;

// The progress of one that runs is its lane's cursor.
constexpr char kSelect[] =
    "SELECT uid, replay, first, last, rate, state, create_time, end_time, "
    "coalesce(cursors.floor, replays.floor), coalesce(cursors.acked, x''), "
    "coalesce(cursors.matched, replays.matched), coalesce(cursors.delivered, replays.delivered), "
    "coalesce(cursors.dead, replays.dead) FROM replays "
    "LEFT JOIN cursors ON cursors.lane = replays.uid || '.' || replays.replay";

StoredReplay ReadReplay(const Statement& row) {
  StoredReplay replay;
  replay.uid = row.String(0);
  replay.replay = row.String(1);
  replay.from = ToSequence(row.Int(2));
  replay.to = ToSequence(row.Int(3));
  replay.rate_per_second = static_cast<int>(row.Int(4));
  replay.state = static_cast<ReplayState>(row.Int(5));
  replay.create_time = FromUnixMicros(row.Int(6));
  if (!row.IsNull(7)) replay.end_time = FromUnixMicros(row.Int(7));
  replay.progress = {ToSequence(row.Int(8)), UnpackSequences(row.Bytes(9)),
                     static_cast<std::uint64_t>(row.Int(10)),
                     static_cast<std::uint64_t>(row.Int(11)),
                     static_cast<std::uint64_t>(row.Int(12))};
  return replay;
}

absl::Status AddReplays(Statement& select, std::vector<StoredReplay>& replays) {
  return select.ForEach([&](const Statement& row) {
    replays.push_back(ReadReplay(row));
    return absl::OkStatus();
  });
}

absl::Status Get(Connection& connection, const std::string& uid, const std::string& replay,
                 StoredReplay& found) {
  static const std::string kOne = fmt::format("{} WHERE uid = ? AND replay = ?", kSelect);
  ASSIGN_OR_RETURN(auto select, connection.Prepare(kOne));
  select.BindAll(uid, replay);
  ASSIGN_OR_RETURN(const bool exists, select.Step());
  if (!exists) return absl::NotFoundError(fmt::format("replay \"{}\" not found", replay));
  found = ReadReplay(select);
  return absl::OkStatus();
}

absl::Status SetState(Connection& connection, ReplayState state, WallTime now,
                      StoredReplay& replay) {
  if (replay.end_time) {
    return absl::FailedPreconditionError(fmt::format("replay \"{}\" has ended", replay.replay));
  }
  replay.state = state;
  if (state == ReplayState::kDone || state == ReplayState::kCancelled) replay.end_time = now;
  std::optional<std::int64_t> end;
  if (replay.end_time) end = ToUnixMicros(*replay.end_time);
  return connection.Run("UPDATE replays SET state = ?, end_time = ? WHERE uid = ? AND replay = ?",
                        static_cast<int>(state), end, replay.uid, replay.replay);
}

absl::Status List(Connection& connection, const std::string& uid, const std::string& after,
                  std::size_t limit, std::vector<StoredReplay>& replays) {
  std::int64_t below = INT64_MAX;
  if (!after.empty()) {
    ASSIGN_OR_RETURN(auto position, connection.Prepare("SELECT position FROM replays WHERE "
                                                       "uid = ? AND replay = ?"));
    position.BindAll(uid, after);
    ASSIGN_OR_RETURN(const bool found, position.Step());
    if (!found) return FieldError("pageToken", "names a replay that is not kept any more");
    below = position.Int(0);
  }
  static const std::string kPage =
      fmt::format("{} WHERE uid = ? AND position < ? ORDER BY position DESC LIMIT ?", kSelect);
  ASSIGN_OR_RETURN(auto select, connection.Prepare(kPage));
  select.BindAll(uid, below, limit);
  return AddReplays(select, replays);
}

}  // namespace

absl::StatusOr<std::vector<StoredReplay>> SqliteStateStore::LoadReplays() {
  std::vector<StoredReplay> replays;
  RETURN_IF_ERROR(database_->readers().Read([&](Connection& connection) -> absl::Status {
    static const std::string kOpen =
        fmt::format("{} WHERE end_time IS NULL ORDER BY position", kSelect);
    ASSIGN_OR_RETURN(auto select, connection.Prepare(kOpen));
    return AddReplays(select, replays);
  }));
  return replays;
}

void SqliteStateStore::SaveReplay(StoredReplay replay, Done done) {
  database_->writer().Write(
      [replay = std::move(replay)](Connection& connection) -> absl::Status {
        std::optional<std::int64_t> end;
        if (replay.end_time) end = ToUnixMicros(*replay.end_time);
        const absl::Status status = connection.Run(
            "INSERT INTO replays (uid, replay, first, last, rate, state, floor, matched, "
            "delivered, dead, create_time, end_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            replay.uid, replay.replay, ToColumn(replay.from), ToColumn(replay.to),
            replay.rate_per_second, static_cast<int>(replay.state), ToColumn(replay.progress.floor),
            replay.progress.matched, replay.progress.delivered, replay.progress.dead,
            ToUnixMicros(replay.create_time), end);
        if (!absl::IsAlreadyExists(status)) return status;
        return absl::AlreadyExistsError(fmt::format("replay \"{}\" already exists", replay.replay));
      },
      std::move(done));
}

void SqliteStateStore::SetReplayState(const std::string& uid, const std::string& replay,
                                      ReplayState state, WallTime now, Result<StoredReplay> done) {
  WriteValue<StoredReplay>(
      [=](Connection& connection, StoredReplay& found) -> absl::Status {
        RETURN_IF_ERROR(Get(connection, uid, replay, found));
        return SetState(connection, state, now, found);
      },
      std::move(done));
}

void SqliteStateStore::ListReplays(const std::string& uid, const std::string& after,
                                   std::size_t limit, Result<std::vector<StoredReplay>> done) {
  ReadValue<std::vector<StoredReplay>>(
      [=](Connection& connection, std::vector<StoredReplay>& replays) {
        return List(connection, uid, after, limit, replays);
      },
      std::move(done));
}

void SqliteStateStore::GetReplay(const std::string& uid, const std::string& replay,
                                 Result<StoredReplay> done) {
  ReadValue<StoredReplay>([=](Connection& connection,
                              StoredReplay& found) { return Get(connection, uid, replay, found); },
                          std::move(done));
}

void SqliteStateStore::PruneReplays(WallTime before, Done done) {
  database_->writer().Write(
      [before](Connection& connection) {
        return connection.Run("DELETE FROM replays WHERE end_time < ?", ToUnixMicros(before));
      },
      std::move(done));
}

}  // namespace penstock::broker
