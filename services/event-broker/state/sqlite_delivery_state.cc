// Cursors, rows and what becomes durable with them, in the state file.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/state/sqlite_dead_letters.h"
#include "services/event-broker/state/sqlite_lanes.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;

absl::StatusOr<Sequence> MatchedThrough(Connection& connection) {
  Sequence through = kNoSequence;
  ASSIGN_OR_RETURN(auto meta,
                   connection.Prepare("SELECT value FROM meta WHERE key = 'matched_through'"));
  RETURN_IF_ERROR(meta.ForEach([&](const Statement& row) {
    through = ToSequence(row.Int(0));
    return absl::OkStatus();
  }));
  return through;
}

absl::Status WriteCursors(Connection& connection, const StateTransaction& transaction) {
  RETURN_IF_ERROR(
      connection.Run("INSERT INTO meta (key, value) VALUES ('matched_through', ?1) "
                     "ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
                     ToColumn(transaction.matched_through)));
  ASSIGN_OR_RETURN(auto write,
                   connection.Prepare("INSERT OR REPLACE INTO cursors (lane, floor, acked, "
                                      "matched, delivered, dead) VALUES (?, ?, ?, ?, ?, ?)"));
  for (const auto& [lane, cursor] : transaction.cursors) {
    write.BindAll(lane, ToColumn(cursor.floor), Blob{PackSequences(cursor.acked)}, cursor.matched,
                  cursor.delivered, cursor.dead);
    RETURN_IF_ERROR(write.Run());
  }
  ASSIGN_OR_RETURN(auto remove, connection.Prepare("DELETE FROM cursors WHERE lane = ?"));
  for (const std::string& lane : transaction.cursors_removed) {
    remove.BindAll(lane);
    RETURN_IF_ERROR(remove.Run());
  }
  return absl::OkStatus();
}

absl::Status WriteRows(Connection& connection, const StateTransaction& transaction) {
  ASSIGN_OR_RETURN(auto remove,
                   connection.Prepare("DELETE FROM retry_rows WHERE lane = ? AND sequence = ?"));
  for (const DeliveryKey& key : transaction.rows_removed) {
    remove.BindAll(key.uid, ToColumn(key.sequence));
    RETURN_IF_ERROR(remove.Run());
  }
  static const std::string kInsert = fmt::format(
      "INSERT OR REPLACE INTO retry_rows (lane, {}) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      kRowColumns);
  ASSIGN_OR_RETURN(auto write, connection.Prepare(kInsert));
  for (const auto& [lane, row] : transaction.rows) {
    write.BindAll(lane, ToColumn(row.position.sequence), static_cast<int>(row.kind),
                  static_cast<int>(row.dead_reason), row.member,
                  ToUnixMicros(row.position.append_time), row.position.key, row.position.bytes,
                  row.attempts_made, row.attempts_sent, row.lost, row.rejected,
                  ToUnixMicros(row.due), row.delay.count(), ToUnixMicros(row.age_from),
                  row.redrives, Blob{SerializeAttempts(row.log)});
    RETURN_IF_ERROR(write.Run());
  }
  return absl::OkStatus();
}

absl::Status RemoveLane(Connection& connection, const std::string& lane) {
  RETURN_IF_ERROR(connection.Run("DELETE FROM cursors WHERE lane = ?", lane));
  return connection.Run("DELETE FROM retry_rows WHERE lane = ?", lane);
}

// The last progress of a replay that ends goes to where ended ones have theirs.
absl::Status KeepProgress(Connection& connection, const std::string& lane) {
  return connection.Run(
      "UPDATE replays SET (floor, matched, delivered, dead) = "
      "(SELECT floor, matched, delivered, dead FROM cursors WHERE lane = ?1) "
      "WHERE uid = ?2 AND replay = ?3 AND EXISTS (SELECT 1 FROM cursors WHERE lane = ?1)",
      lane, SubscriptionOfLane(lane), ReplayOfLane(lane));
}

absl::Status EndReplays(Connection& connection, const StateTransaction& transaction, WallTime now) {
  for (const auto& [lane, cursor] : transaction.replays_done) {
    RETURN_IF_ERROR(connection.Run(
        "UPDATE replays SET state = ?, end_time = ?, floor = ?, matched = ?, delivered = ?, "
        "dead = ? WHERE uid = ? AND replay = ? AND end_time IS NULL",
        static_cast<int>(ReplayState::kDone), ToUnixMicros(now), ToColumn(cursor.floor),
        cursor.matched, cursor.delivered, cursor.dead, SubscriptionOfLane(lane),
        ReplayOfLane(lane)));
    RETURN_IF_ERROR(RemoveLane(connection, lane));
  }
  return absl::OkStatus();
}

absl::Status ForgetLanes(Connection& connection, const StateTransaction& transaction,
                         Sequence matched_before) {
  for (const std::string& lane : transaction.forgotten) {
    if (!ReplayOfLane(lane).empty()) {
      RETURN_IF_ERROR(KeepProgress(connection, lane));
      RETURN_IF_ERROR(RemoveLane(connection, lane));
      continue;
    }
    RETURN_IF_ERROR(EndLane(connection, lane, matched_before));
    RETURN_IF_ERROR(connection.Run("DELETE FROM replays WHERE uid = ?", lane));
    for (const char* sql : {"DELETE FROM cursors WHERE lane >= ? AND lane < ?",
                            "DELETE FROM retry_rows WHERE lane >= ? AND lane < ?"}) {
      RETURN_IF_ERROR(connection.Run(sql, FirstReplayLane(lane), AfterReplayLanes(lane)));
    }
  }
  return absl::OkStatus();
}

absl::Status Write(Connection& connection, const StateTransaction& transaction,
                   const std::vector<StoredDeadLetter>& dead, WallTime now) {
  ASSIGN_OR_RETURN(const Sequence matched_before, MatchedThrough(connection));
  // What ends goes first: letters of a replay that has ended may be redriven at once, with rows of
  // the same lane.
  RETURN_IF_ERROR(EndReplays(connection, transaction, now));
  RETURN_IF_ERROR(ForgetLanes(connection, transaction, matched_before));
  RETURN_IF_ERROR(WriteCursors(connection, transaction));
  RETURN_IF_ERROR(WriteRows(connection, transaction));
  RETURN_IF_ERROR(WriteDeadLetters(connection, dead));
  return RemoveDeadLetters(connection, transaction.dead_removed).status();
}

absl::Status Read(Connection& connection, SavedDeliveryState& state) {
  ASSIGN_OR_RETURN(state.matched_through, MatchedThrough(connection));
  ASSIGN_OR_RETURN(
      auto cursors,
      connection.Prepare("SELECT lane, floor, acked, matched, delivered, dead FROM cursors"));
  RETURN_IF_ERROR(cursors.ForEach([&](const Statement& row) {
    state.cursors[row.String(0)] = {ToSequence(row.Int(1)), UnpackSequences(row.Bytes(2)),
                                    static_cast<std::uint64_t>(row.Int(3)),
                                    static_cast<std::uint64_t>(row.Int(4)),
                                    static_cast<std::uint64_t>(row.Int(5))};
    return absl::OkStatus();
  }));
  static const std::string kRows =
      fmt::format("SELECT lane, {} FROM retry_rows ORDER BY lane, sequence", kRowColumns);
  ASSIGN_OR_RETURN(auto rows, connection.Prepare(kRows));
  std::vector<RetryRow>* of_lane = nullptr;
  std::string lane;
  RETURN_IF_ERROR(rows.ForEach([&](const Statement& row) -> absl::Status {
    if (of_lane == nullptr || row.Text(0) != lane) {
      lane = row.String(0);
      of_lane = &state.rows[lane];
    }
    ASSIGN_OR_RETURN(RetryRow read, ReadRow(row, 1));
    of_lane->push_back(std::move(read));
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(state.dead, CountDeadLetters(connection));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SavedDeliveryState> SqliteStateStore::LoadDeliveryState() {
  SavedDeliveryState state;
  RETURN_IF_ERROR(
      database_->readers().Read([&](Connection& connection) { return Read(connection, state); }));
  return state;
}

void SqliteStateStore::Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
                              Done done) {
  database_->writer().Write(
      [this, transaction = std::move(transaction), dead = std::move(dead)](Connection& connection) {
        return Write(connection, transaction, dead, options_.clock->Wall());
      },
      std::move(done));
}

}  // namespace penstock::broker
