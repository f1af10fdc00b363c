#include "services/event-broker/state/sqlite_lanes.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/state/sqlite_dead_letters.h"

namespace penstock::broker {
namespace {

using sqlite::Connection;
using sqlite::Statement;

// The letters of a subscription and of its replays.
absl::Status MoveDeadLetters(Connection& connection, const std::string& from,
                             const std::string& to) {
  return connection.Run(
      "UPDATE dead_letters SET lane = ?2 || substr(lane, length(?1) + 1) "
      "WHERE lane = ?1 OR (lane >= ?3 AND lane < ?4)",
      from, to, FirstReplayLane(from), AfterReplayLanes(from));
}

}  // namespace

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

absl::StatusOr<RetryRow> ReadRow(const Statement& row, int first) {
  int column = first;
  RetryRow read;
  read.position.sequence = ToSequence(row.Int(column++));
  read.kind = static_cast<RowKind>(row.Int(column++));
  read.dead_reason = static_cast<DeadReason>(row.Int(column++));
  read.member = static_cast<int>(row.Int(column++));
  read.position.append_time = FromUnixMicros(row.Int(column++));
  read.position.key = static_cast<std::uint64_t>(row.Int(column++));
  read.position.bytes = static_cast<std::uint32_t>(row.Int(column++));
  read.attempts_made = static_cast<int>(row.Int(column++));
  read.attempts_sent = static_cast<int>(row.Int(column++));
  read.lost = static_cast<int>(row.Int(column++));
  read.rejected = static_cast<int>(row.Int(column++));
  read.due = FromUnixMicros(row.Int(column++));
  read.delay = Microseconds(row.Int(column++));
  read.age_from = FromUnixMicros(row.Int(column++));
  read.redrives = static_cast<int>(row.Int(column++));
  ASSIGN_OR_RETURN(read.log, ParseAttempts(row.Bytes(column)));
  return read;
}

absl::StatusOr<std::shared_ptr<const SavedLane>> LoadLane(Connection& connection,
                                                          const std::string& lane) {
  ASSIGN_OR_RETURN(auto cursor,
                   connection.Prepare("SELECT floor, acked FROM cursors WHERE lane = ?"));
  cursor.BindAll(lane);
  ASSIGN_OR_RETURN(const bool found, cursor.Step());
  if (!found) return nullptr;
  auto saved = std::make_shared<SavedLane>();
  saved->cursor = {ToSequence(cursor.Int(0)), UnpackSequences(cursor.Bytes(1))};
  static const std::string kSelect =
      fmt::format("SELECT {} FROM retry_rows WHERE lane = ? ORDER BY sequence", kRowColumns);
  ASSIGN_OR_RETURN(auto rows, connection.Prepare(kSelect));
  rows.BindAll(lane);
  RETURN_IF_ERROR(rows.ForEach([&](const Statement& row) -> absl::Status {
    ASSIGN_OR_RETURN(RetryRow read, ReadRow(row, 0));
    saved->rows.push_back(std::move(read));
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(saved->dead, CountDeadLettersOf(connection, lane));
  return saved;
}

absl::Status EndLane(Connection& connection, const std::string& lane, Sequence matched_through) {
  static const std::string kMoveRows = fmt::format(
      "INSERT OR REPLACE INTO ended_rows (lane, {0}) SELECT lane, {0} FROM retry_rows "
      "WHERE lane = ?",
      kRowColumns);
  RETURN_IF_ERROR(connection.Run(
      "INSERT OR IGNORE INTO ended_cursors (lane, floor, acked) "
      "SELECT lane, floor, acked FROM cursors WHERE lane = ?1 "
      "UNION ALL SELECT ?1, ?2, x'' WHERE NOT EXISTS (SELECT 1 FROM cursors WHERE lane = ?1)",
      lane, ToColumn(matched_through)));
  RETURN_IF_ERROR(connection.Run(kMoveRows, lane));
  RETURN_IF_ERROR(connection.Run("DELETE FROM cursors WHERE lane = ?", lane));
  return connection.Run("DELETE FROM retry_rows WHERE lane = ?", lane);
}

absl::Status AdoptLane(Connection& connection, const std::string& from, const std::string& to) {
  static const std::string kMoveRows = fmt::format(
      "INSERT INTO retry_rows (lane, {0}) SELECT ?2, {0} FROM ended_rows "
      "WHERE lane = ?1",
      kRowColumns);
  RETURN_IF_ERROR(
      connection.Run("INSERT INTO cursors (lane, floor, acked, matched, delivered, dead) "
                     "SELECT ?2, floor, acked, 0, 0, 0 FROM ended_cursors WHERE lane = ?1",
                     from, to));
  if (connection.changes() == 0) {
    return absl::NotFoundError(fmt::format("nothing is kept of subscription \"{}\"", from));
  }
  RETURN_IF_ERROR(connection.Run(kMoveRows, from, to));
  RETURN_IF_ERROR(connection.Run("DELETE FROM ended_cursors WHERE lane = ?", from));
  RETURN_IF_ERROR(connection.Run("DELETE FROM ended_rows WHERE lane = ?", from));
  return MoveDeadLetters(connection, from, to);
}

absl::Status ReturnLane(Connection& connection, const std::string& from, const std::string& to) {
  static const std::string kMoveRows = fmt::format(
      "INSERT OR REPLACE INTO ended_rows (lane, {0}) SELECT ?1, {0} FROM retry_rows "
      "WHERE lane = ?2",
      kRowColumns);
  RETURN_IF_ERROR(
      connection.Run("INSERT OR REPLACE INTO ended_cursors (lane, floor, acked) "
                     "SELECT ?1, floor, acked FROM cursors WHERE lane = ?2",
                     from, to));
  RETURN_IF_ERROR(connection.Run(kMoveRows, from, to));
  RETURN_IF_ERROR(connection.Run("DELETE FROM cursors WHERE lane = ?", to));
  RETURN_IF_ERROR(connection.Run("DELETE FROM retry_rows WHERE lane = ?", to));
  return MoveDeadLetters(connection, to, from);
}

}  // namespace penstock::broker
