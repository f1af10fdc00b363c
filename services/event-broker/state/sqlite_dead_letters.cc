// Dead letters in the state file.
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;

constexpr char kColumns[] =
    "position, uid, sequence, space, subscription, function, event_id, append_time, reason, "
    "attempts_made, redrives, time, attempts, event";

absl::StatusOr<StoredDeadLetter> ReadLetter(const Statement& row) {
  StoredDeadLetter letter;
  letter.delivery.key = {row.String(1), static_cast<Sequence>(row.Int(2))};
  letter.space = row.String(3);
  letter.subscription = row.String(4);
  letter.function = row.String(5);
  letter.event_id = row.String(6);
  letter.delivery.append_time = FromUnixMicros(row.Int(7));
  letter.delivery.reason = static_cast<DeadReason>(row.Int(8));
  letter.delivery.attempts = static_cast<int>(row.Int(9));
  letter.delivery.redrives = static_cast<int>(row.Int(10));
  letter.delivery.time = FromUnixMicros(row.Int(11));
  ASSIGN_OR_RETURN(letter.delivery.log, ParseAttempts(row.Bytes(12)));
  letter.event = std::string(row.Bytes(13));
  return letter;
}

std::string ListSql(const DeadLetterQuery& query) {
  std::string sql =
      std::string("SELECT ") + kColumns + " FROM dead_letters WHERE space = ?1 AND position > ?2";
  // A letter that is being redriven has a retry row until its new attempts have an end.
  sql +=
      " AND NOT EXISTS (SELECT 1 FROM retry_rows WHERE retry_rows.uid = dead_letters.uid AND "
      "retry_rows.sequence = dead_letters.sequence)";
  if (query.subscription) sql += " AND subscription = ?3";
  if (query.reason) sql += " AND reason = ?4";
  if (query.event_id) sql += " AND event_id = ?5";
  if (!query.ids.empty()) {
    sql += " AND (uid || '-' || sequence) IN (";
    for (std::size_t i = 0; i < query.ids.size(); ++i) {
      sql += (i == 0 ? "?" : ", ?") + std::to_string(7 + i);
    }
    sql += ")";
  }
  return sql + " ORDER BY position LIMIT ?6";
}

absl::Status ListInto(Connection& connection, const DeadLetterQuery& query, DeadLetterPage& page) {
  std::int64_t after = 0;
  if (!query.after.empty()) {
    const char* end = query.after.data() + query.after.size();
    const auto [stop, error] = std::from_chars(query.after.data(), end, after);
    if (error != std::errc() || stop != end) {
      return FieldError("pageToken", "is not one that an earlier answer gave");
    }
  }
  ASSIGN_OR_RETURN(auto select, connection.Prepare(ListSql(query)));
  select.Bind(1, query.space).Bind(2, after);
  if (query.subscription) select.Bind(3, *query.subscription);
  if (query.reason) select.Bind(4, static_cast<int>(*query.reason));
  if (query.event_id) select.Bind(5, *query.event_id);
  select.Bind(6, query.limit + 1);
  for (std::size_t i = 0; i < query.ids.size(); ++i) {
    select.Bind(static_cast<int>(7 + i), query.ids[i]);
  }
  std::string last;
  return select.ForEach([&](const Statement& row) -> absl::Status {
    if (page.letters.size() == query.limit) {
      page.next = last;
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(StoredDeadLetter letter, ReadLetter(row));
    page.letters.push_back(std::move(letter));
    last = std::to_string(row.Int(0));
    return absl::OkStatus();
  });
}

absl::Status NotFound(const DeliveryKey& key) {
  return absl::NotFoundError("dead letter \"" + key.Id() + "\" not found");
}

}  // namespace

absl::Status WriteDeadLetter(Connection& connection, const StoredDeadLetter& letter) {
  const DeadDelivery& delivery = letter.delivery;
  return connection.Run(
      "INSERT INTO dead_letters (uid, sequence, space, subscription, function, event_id, "
      "append_time, reason, attempts_made, redrives, time, attempts, event) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
      "ON CONFLICT (uid, sequence) DO UPDATE SET reason = ?8, attempts_made = ?9, redrives = ?10, "
      "time = ?11, attempts = ?12",
      delivery.key.uid, static_cast<std::int64_t>(delivery.key.sequence), letter.space,
      letter.subscription, letter.function, letter.event_id, ToUnixMicros(delivery.append_time),
      static_cast<int>(delivery.reason), delivery.attempts, delivery.redrives,
      ToUnixMicros(delivery.time), Blob{SerializeAttempts(delivery.log)}, Blob{letter.event});
}

void SqliteStateStore::ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) {
  auto page = std::make_shared<DeadLetterPage>();
  database_->readers().ReadAsync(
      [query = std::move(query), page](Connection& connection) {
        return ListInto(connection, query, *page);
      },
      [page, done = std::move(done)](const absl::Status& status) {
        status.ok() ? done(std::move(*page)) : done(status);
      });
}

void SqliteStateStore::GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) {
  auto letter = std::make_shared<StoredDeadLetter>();
  database_->readers().ReadAsync(
      [key, letter](Connection& connection) -> absl::Status {
        ASSIGN_OR_RETURN(auto select,
                         connection.Prepare(std::string("SELECT ") + kColumns +
                                            " FROM dead_letters WHERE uid = ? AND sequence = ?"));
        select.BindAll(key.uid, static_cast<std::int64_t>(key.sequence));
        ASSIGN_OR_RETURN(const bool found, select.Step());
        if (!found) return NotFound(key);
        ASSIGN_OR_RETURN(*letter, ReadLetter(select));
        return absl::OkStatus();
      },
      [letter, done = std::move(done)](const absl::Status& status) {
        status.ok() ? done(std::move(*letter)) : done(status);
      });
}

void SqliteStateStore::PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) {
  auto purged = std::make_shared<std::int64_t>(0);
  database_->writer().Write(
      [keys = std::move(keys), purged](Connection& connection) -> absl::Status {
        *purged = 0;
        for (const DeliveryKey& key : keys) {
          RETURN_IF_ERROR(connection.Run("DELETE FROM dead_letters WHERE uid = ? AND sequence = ?",
                                         key.uid, static_cast<std::int64_t>(key.sequence)));
          *purged += connection.changes();
        }
        return absl::OkStatus();
      },
      [purged, done = std::move(done)](const absl::Status& status) {
        status.ok() ? done(*purged) : done(status);
      });
}

void SqliteStateStore::CountDeadLetters(const std::string& uid, Result<std::int64_t> done) {
  auto count = std::make_shared<std::int64_t>(0);
  database_->readers().ReadAsync(
      [uid, count](Connection& connection) -> absl::Status {
        ASSIGN_OR_RETURN(auto select,
                         connection.Prepare("SELECT count(*) FROM dead_letters WHERE uid = ?"));
        select.BindAll(uid);
        return select.ForEach([&](const Statement& row) {
          *count = row.Int(0);
          return absl::OkStatus();
        });
      },
      [count, done = std::move(done)](const absl::Status& status) {
        status.ok() ? done(*count) : done(status);
      });
}

}  // namespace penstock::broker
