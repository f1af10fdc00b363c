// Dead letters in the state file.
#include "services/event-broker/state/sqlite_dead_letters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/domain/filter/type_pattern.h"
#include "services/event-broker/state/sqlite_lanes.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;
using DeadCount = SavedDeliveryState::DeadCount;

constexpr char kColumns[] =
    "position, lane, sequence, last_sequence, space, subscription, function, event_id, event_type, "
    "append_time, ordering_key, reason, attempts_made, redrives, time, edits, attempts, event, "
    "original_event, bytes";

absl::StatusOr<StoredDeadLetter> ReadLetter(const Statement& row) {
  StoredDeadLetter letter;
  DeadDelivery& delivery = letter.delivery;
  delivery.key = {row.String(1), ToSequence(row.Int(2))};
  delivery.last_sequence = ToSequence(row.Int(3));
  letter.space = row.String(4);
  letter.subscription = row.String(5);
  letter.function = row.String(6);
  letter.event_id = row.String(7);
  letter.event_type = row.String(8);
  delivery.append_time = FromUnixMicros(row.Int(9));
  delivery.ordering_key = static_cast<std::uint64_t>(row.Int(10));
  delivery.reason = static_cast<DeadReason>(row.Int(11));
  delivery.attempts = static_cast<int>(row.Int(12));
  delivery.redrives = static_cast<int>(row.Int(13));
  delivery.time = FromUnixMicros(row.Int(14));
  letter.edits = static_cast<int>(row.Int(15));
  ASSIGN_OR_RETURN(delivery.log, ParseAttempts(row.Bytes(16)));
  letter.event = std::string(row.Bytes(17));
  letter.original_event = std::string(row.Bytes(18));
  letter.bytes = static_cast<std::uint32_t>(row.Int(19));
  return letter;
}

// A letter that is being redriven has a row until its new attempts have an end.
constexpr char kIsNotRedriven[] =
    "NOT EXISTS (SELECT 1 FROM retry_rows WHERE retry_rows.lane = dead_letters.lane AND "
    "retry_rows.sequence = dead_letters.sequence)";

std::string FailsItsKey() {
  return fmt::format("ordering_key != 0 AND redrives = 0 AND reason NOT IN ({}, {}) AND {}",
                     static_cast<int>(DeadReason::kKeyFailed),
                     static_cast<int>(DeadReason::kRetention), kIsNotRedriven);
}

// From two columns of a row, `first` being the first.
void AddCount(const Statement& row, int first, DeadCount& count) {
  count.letters = static_cast<std::uint64_t>(row.Int(first));
  count.bytes = static_cast<std::uint64_t>(row.Int(first + 1));
}
void AddKey(const Statement& row, int first, DeadCount& count) {
  count.failed_keys[static_cast<std::uint64_t>(row.Int(first))] = ToSequence(row.Int(first + 1));
}

// What every query asks for, with its values under names.
std::string Conditions(const DeadLetterQuery& query) {
  std::string sql = fmt::format("space = ?1 AND {}", kIsNotRedriven);
  if (query.subscription) sql += " AND subscription = ?2";
  if (query.reason) sql += " AND reason = ?3";
  if (query.event_id) sql += " AND event_id = ?4";
  if (query.event_type) sql += " AND event_type GLOB ?5";
  if (query.from_time) sql += " AND time >= ?6";
  if (query.to_time) sql += " AND time < ?7";
  if (query.error_contains) {
    sql += " AND (instr(error_message, ?8) > 0 OR instr(error_type, ?8) > 0)";
  }
  return sql;
}

void BindConditions(Statement& select, const DeadLetterQuery& query) {
  select.Bind(1, query.space);
  if (query.subscription) select.Bind(2, *query.subscription);
  if (query.reason) select.Bind(3, static_cast<int>(*query.reason));
  if (query.event_id) select.Bind(4, *query.event_id);
  if (query.event_type) select.Bind(5, GlobOf(*query.event_type));
  if (query.from_time) select.Bind(6, ToUnixMicros(*query.from_time));
  if (query.to_time) select.Bind(7, ToUnixMicros(*query.to_time));
  if (query.error_contains) select.Bind(8, *query.error_contains);
}

absl::StatusOr<std::int64_t> ParsePosition(const std::string& after) {
  std::int64_t position = 0;
  if (after.empty()) return position;
  const char* end = after.data() + after.size();
  const auto [stop, error] = std::from_chars(after.data(), end, position);
  if (error == std::errc() && stop == end && position >= 0) return position;
  return FieldError("pageToken", "is not one that an earlier answer gave");
}

absl::Status AddLetters(Statement& select, std::size_t limit, DeadLetterPage& page) {
  std::int64_t last = 0;
  return select.ForEach([&](const Statement& row) -> absl::Status {
    if (page.letters.size() == limit) {
      page.next = std::to_string(last);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(StoredDeadLetter letter, ReadLetter(row));
    page.letters.push_back(std::move(letter));
    last = row.Int(0);
    return absl::OkStatus();
  });
}

// The positions after `after` of the letters that `query` names, ascending.
absl::StatusOr<std::vector<std::int64_t>> PositionsOf(Connection& connection,
                                                      const DeadLetterQuery& query,
                                                      std::int64_t after) {
  ASSIGN_OR_RETURN(auto select,
                   connection.Prepare("SELECT position FROM dead_letters WHERE lane = ?9 AND "
                                      "sequence = ?10 AND position > ?11 AND " +
                                      Conditions(query)));
  std::vector<std::int64_t> positions;
  for (const std::string& id : query.ids) {
    const auto key = ParseDeliveryId(id);
    if (!key) continue;
    BindConditions(select, query);
    select.Bind(9, key->uid).Bind(10, ToColumn(key->sequence)).Bind(11, after);
    RETURN_IF_ERROR(select.ForEach([&](const Statement& row) {
      positions.push_back(row.Int(0));
      return absl::OkStatus();
    }));
  }
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

absl::Status ListByIds(Connection& connection, const DeadLetterQuery& query, std::int64_t after,
                       DeadLetterPage& page) {
  ASSIGN_OR_RETURN(const auto positions, PositionsOf(connection, query, after));
  static const std::string kSelect =
      fmt::format("SELECT {} FROM dead_letters WHERE position = ?", kColumns);
  ASSIGN_OR_RETURN(auto select, connection.Prepare(kSelect));
  const std::size_t count = std::min(positions.size(), query.limit);
  for (std::size_t i = 0; i < count; ++i) {
    select.BindAll(positions[i]);
    RETURN_IF_ERROR(AddLetters(select, query.limit, page));
  }
  if (count > 0 && positions.size() > count) page.next = std::to_string(positions[count - 1]);
  return absl::OkStatus();
}

absl::Status List(Connection& connection, const DeadLetterQuery& query, DeadLetterPage& page) {
  ASSIGN_OR_RETURN(const std::int64_t after, ParsePosition(query.after));
  if (query.event_type) {
    RETURN_IF_ERROR(TypePattern::Parse("eventType", *query.event_type).status());
  }
  if (!query.ids.empty()) return ListByIds(connection, query, after, page);
  ASSIGN_OR_RETURN(auto select,
                   connection.Prepare(fmt::format("SELECT {} FROM dead_letters WHERE {} AND "
                                                  "position > ?9 ORDER BY position LIMIT ?10",
                                                  kColumns, Conditions(query))));
  BindConditions(select, query);
  select.Bind(9, after).Bind(10, query.limit + 1);
  return AddLetters(select, query.limit, page);
}

absl::Status NotFound(const DeliveryKey& key) {
  return absl::NotFoundError("dead letter \"" + key.Id() + "\" not found");
}

absl::Status Get(Connection& connection, const DeliveryKey& key, StoredDeadLetter& letter) {
  static const std::string kSelect =
      fmt::format("SELECT {} FROM dead_letters WHERE lane = ? AND sequence = ?", kColumns);
  ASSIGN_OR_RETURN(auto select, connection.Prepare(kSelect));
  select.BindAll(key.uid, ToColumn(key.sequence));
  ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return NotFound(key);
  ASSIGN_OR_RETURN(letter, ReadLetter(select));
  return absl::OkStatus();
}

// What an edit must find.
absl::Status CheckEdit(Connection& connection, const DeliveryKey& key, int edits) {
  ASSIGN_OR_RETURN(
      auto select,
      connection.Prepare("SELECT edits, reason, EXISTS (SELECT 1 FROM retry_rows WHERE lane = ?1 "
                         "AND sequence = ?2) FROM dead_letters WHERE lane = ?1 AND sequence = ?2"));
  select.BindAll(key.uid, ToColumn(key.sequence));
  ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found || select.Int(2) != 0) return NotFound(key);
  if (select.Int(1) == static_cast<int>(DeadReason::kRetention)) {
    return absl::FailedPreconditionError("dead letter \"" + key.Id() + "\" has no event to edit");
  }
  if (select.Int(0) == edits) return absl::OkStatus();
  return absl::AbortedError("dead letter \"" + key.Id() + "\" has been changed; read it again");
}

}  // namespace

absl::StatusOr<std::map<std::string, DeadCount>> CountDeadLetters(Connection& connection) {
  std::map<std::string, DeadCount> counts;
  ASSIGN_OR_RETURN(
      auto letters,
      connection.Prepare("SELECT lane, count(*), sum(bytes) FROM dead_letters GROUP BY lane"));
  RETURN_IF_ERROR(letters.ForEach([&](const Statement& row) {
    AddCount(row, 1, counts[row.String(0)]);
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(auto failed,
                   connection.Prepare(fmt::format("SELECT lane, ordering_key, min(sequence) FROM "
                                                  "dead_letters WHERE {} GROUP BY 1, 2",
                                                  FailsItsKey())));
  RETURN_IF_ERROR(failed.ForEach([&](const Statement& row) {
    AddKey(row, 1, counts[row.String(0)]);
    return absl::OkStatus();
  }));
  return counts;
}

absl::StatusOr<DeadCount> CountDeadLettersOf(Connection& connection, const std::string& uid) {
  DeadCount count;
  ASSIGN_OR_RETURN(auto letters,
                   connection.Prepare("SELECT count(*), sum(bytes) FROM dead_letters WHERE "
                                      "lane = ?1 OR (lane >= ?2 AND lane < ?3)"));
  letters.BindAll(uid, FirstReplayLane(uid), AfterReplayLanes(uid));
  RETURN_IF_ERROR(letters.ForEach([&](const Statement& row) {
    AddCount(row, 0, count);
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(auto failed,
                   connection.Prepare(fmt::format("SELECT ordering_key, min(sequence) FROM "
                                                  "dead_letters WHERE lane = ? AND {} GROUP BY 1",
                                                  FailsItsKey())));
  failed.BindAll(uid);
  RETURN_IF_ERROR(failed.ForEach([&](const Statement& row) {
    AddKey(row, 0, count);
    return absl::OkStatus();
  }));
  return count;
}

std::string GlobOf(std::string_view pattern) {
  std::string glob;
  for (const char c : pattern) {
    if (c == '?' || c == '[') {
      glob += {'[', c, ']'};
    } else {
      glob += c;
    }
  }
  return glob;
}

absl::Status WriteDeadLetters(Connection& connection,
                              const std::vector<StoredDeadLetter>& letters) {
  if (letters.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      auto write,
      connection.Prepare(
          "INSERT INTO dead_letters (lane, sequence, last_sequence, space, subscription, function, "
          "event_id, event_type, append_time, ordering_key, reason, attempts_made, redrives, time, "
          "error_type, error_message, edits, bytes, attempts, event, original_event) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
          "?18, ?19, ?20, ?21) ON CONFLICT (lane, sequence) DO UPDATE SET "
          "last_sequence = ?3, reason = ?11, attempts_made = ?12, redrives = ?13, time = ?14, "
          "error_type = ?15, error_message = ?16, attempts = ?19, "
          "event_id = iif(bytes = 0, ?7, event_id), event_type = iif(bytes = 0, ?8, event_type), "
          "event = iif(bytes = 0, ?20, event), bytes = iif(bytes = 0, ?18, bytes)"));
  for (const StoredDeadLetter& letter : letters) {
    const DeadDelivery& delivery = letter.delivery;
    const DeliveryError error = delivery.log.empty() ? DeliveryError() : delivery.log.back().error;
    write.BindAll(
        delivery.key.uid, ToColumn(delivery.key.sequence), ToColumn(delivery.last_sequence),
        letter.space, letter.subscription, letter.function, letter.event_id, letter.event_type,
        ToUnixMicros(delivery.append_time), delivery.ordering_key,
        static_cast<int>(delivery.reason), delivery.attempts, delivery.redrives,
        ToUnixMicros(delivery.time), error.type, error.message, letter.edits, letter.event.size(),
        Blob{SerializeAttempts(delivery.log)}, Blob{letter.event}, Blob{letter.original_event});
    RETURN_IF_ERROR(write.Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> RemoveDeadLetters(Connection& connection,
                                               const std::vector<DeliveryKey>& keys) {
  std::int64_t removed = 0;
  ASSIGN_OR_RETURN(auto remove,
                   connection.Prepare("DELETE FROM dead_letters WHERE lane = ? AND sequence = ?"));
  for (const DeliveryKey& key : keys) {
    remove.BindAll(key.uid, ToColumn(key.sequence));
    RETURN_IF_ERROR(remove.Run());
    removed += connection.changes();
  }
  return removed;
}

void SqliteStateStore::ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) {
  ReadValue<DeadLetterPage>(
      [query = std::move(query)](Connection& connection, DeadLetterPage& page) {
        return List(connection, query, page);
      },
      std::move(done));
}

void SqliteStateStore::GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) {
  ReadValue<StoredDeadLetter>(
      [key](Connection& connection, StoredDeadLetter& letter) {
        return Get(connection, key, letter);
      },
      std::move(done));
}

void SqliteStateStore::PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) {
  WriteValue<std::int64_t>(
      [keys = std::move(keys)](Connection& connection, std::int64_t& purged) -> absl::Status {
        ASSIGN_OR_RETURN(purged, RemoveDeadLetters(connection, keys));
        return absl::OkStatus();
      },
      std::move(done));
}

void SqliteStateStore::EditDeadLetter(const DeliveryKey& key, int edits, std::string event,
                                      std::string event_id, std::string event_type, Done done) {
  database_->writer().Write(
      [key, edits, event = std::move(event), event_id = std::move(event_id),
       event_type = std::move(event_type)](Connection& connection) -> absl::Status {
        RETURN_IF_ERROR(CheckEdit(connection, key, edits));
        return connection.Run(
            "UPDATE dead_letters SET original_event = iif(edits = 0, event, original_event), "
            "event = ?3, bytes = ?4, event_id = ?5, event_type = ?6, edits = edits + 1 "
            "WHERE lane = ?1 AND sequence = ?2",
            key.uid, ToColumn(key.sequence), Blob{event}, event.size(), event_id, event_type);
      },
      std::move(done));
}

void SqliteStateStore::CountDeadLetters(const std::string& uid, Result<std::int64_t> done) {
  ReadValue<std::int64_t>(
      [uid](Connection& connection, std::int64_t& count) -> absl::Status {
        ASSIGN_OR_RETURN(auto select,
                         connection.Prepare("SELECT count(*) FROM dead_letters WHERE lane = ?1 OR "
                                            "(lane >= ?2 AND lane < ?3)"));
        select.BindAll(uid, FirstReplayLane(uid), AfterReplayLanes(uid));
        return select.ForEach([&](const Statement& row) {
          count = row.Int(0);
          return absl::OkStatus();
        });
      },
      std::move(done));
}

}  // namespace penstock::broker
