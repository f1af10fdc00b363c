// Scheduled events in the state file.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/state/sqlite_state_store.h"

namespace penstock::broker {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Statement;

constexpr char kColumns[] =
    "space, key, type, source, id, ordering_key, content_hash, due, create_time, body";

ScheduledEvent ReadEvent(const Statement& row) {
  ScheduledEvent event;
  event.space = row.String(0);
  event.key = row.String(1);
  event.type = row.String(2);
  event.source = row.String(3);
  event.id = row.String(4);
  event.ordering_key = row.String(5);
  event.content_hash = static_cast<std::uint64_t>(row.Int(6));
  event.due = FromUnixMicros(row.Int(7));
  event.create_time = FromUnixMicros(row.Int(8));
  event.body = std::string(row.Bytes(9));
  return event;
}

absl::Status Insert(Connection& connection, const std::vector<ScheduledEvent>& events, WallTime now,
                    std::vector<bool>& fresh) {
  RETURN_IF_ERROR(connection.Run("DELETE FROM published_keys WHERE until <= ?", ToUnixMicros(now)));
  ASSIGN_OR_RETURN(
      auto insert,
      connection.Prepare(fmt::format(
          "INSERT INTO scheduled ({}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 "
          "WHERE NOT EXISTS (SELECT 1 FROM published_keys WHERE space = ?1 AND key = ?2) "
          "ON CONFLICT (space, key) DO NOTHING",
          kColumns)));
  for (const ScheduledEvent& event : events) {
    insert.BindAll(event.space, event.key, event.type, event.source, event.id, event.ordering_key,
                   event.content_hash, ToUnixMicros(event.due), ToUnixMicros(event.create_time),
                   Blob{event.body});
    RETURN_IF_ERROR(insert.Run());
    fresh.push_back(connection.changes() == 1);
  }
  return absl::OkStatus();
}

absl::Status Due(Connection& connection, const DueQuery& query, EventSchedule::DueEvents& due) {
  std::string except;  // A parameter for each; an empty list excepts none.
  for (std::size_t i = 0; i < query.spaces_except.size(); ++i) except += i == 0 ? "?" : ", ?";
  const auto bind_except = [&](Statement& statement) {
    int parameter = 0;
    for (const std::string& space : query.spaces_except) statement.Bind(++parameter, space);
    return parameter;
  };
  ASSIGN_OR_RETURN(auto select, connection.Prepare(fmt::format(
                                    "SELECT {} FROM scheduled WHERE space NOT IN ({}) AND "
                                    "due <= ? ORDER BY due, space, key LIMIT ?",
                                    kColumns, except)));
  const int bound = bind_except(select);
  select.Bind(bound + 1, ToUnixMicros(query.now)).Bind(bound + 2, query.limit);
  RETURN_IF_ERROR(select.ForEach([&](const Statement& row) {
    due.events.push_back(ReadEvent(row));
    return absl::OkStatus();
  }));
  // A full answer leaves some that are due, perhaps.
  ASSIGN_OR_RETURN(auto next, connection.Prepare(fmt::format(
                                  "SELECT due FROM scheduled WHERE space NOT IN ({}) ORDER BY due, "
                                  "space, key LIMIT 1 OFFSET ?",
                                  except)));
  next.Bind(bind_except(next) + 1, due.events.size());
  return next.ForEach([&](const Statement& row) {
    due.next = FromUnixMicros(row.Int(0));
    return absl::OkStatus();
  });
}

// Only the event that was listed: another one may have been scheduled under its key since.
absl::Status Remove(Connection& connection, const std::vector<ScheduledEvent>& events,
                    std::int64_t remember_until) {
  ASSIGN_OR_RETURN(auto remove, connection.Prepare("DELETE FROM scheduled WHERE space = ? AND "
                                                   "key = ? AND due = ? AND create_time = ?"));
  ASSIGN_OR_RETURN(auto remember,
                   connection.Prepare("INSERT OR REPLACE INTO published_keys (space, key, until) "
                                      "VALUES (?, ?, ?)"));
  for (const ScheduledEvent& event : events) {
    remove.BindAll(event.space, event.key, ToUnixMicros(event.due),
                   ToUnixMicros(event.create_time));
    RETURN_IF_ERROR(remove.Run());
    remember.BindAll(event.space, event.key, remember_until);
    RETURN_IF_ERROR(remember.Run());
  }
  return absl::OkStatus();
}

// A page ends with the due time and the key of its last event.
struct Place {
  std::int64_t due = INT64_MIN;
  std::string key;
};

absl::StatusOr<Place> ParsePlace(const std::string& after) {
  Place place;
  if (after.empty()) return place;
  const char* end = after.data() + after.size();
  const auto [stop, error] = std::from_chars(after.data(), end, place.due);
  if (error != std::errc() || stop == end || *stop != '/') {
    return FieldError("pageToken", "is not one that an earlier answer gave");
  }
  place.key = std::string(stop + 1, end);
  return place;
}

absl::Status List(Connection& connection, const ScheduledQuery& query, ScheduledPage& page) {
  ASSIGN_OR_RETURN(const Place after, ParsePlace(query.after));
  ASSIGN_OR_RETURN(auto select,
                   connection.Prepare(fmt::format(
                       "SELECT {} FROM scheduled WHERE space = ?1 AND (due, key) > (?2, ?3) {} "
                       "ORDER BY due, key LIMIT ?4",
                       kColumns, query.event_id ? "AND id = ?5" : "")));
  select.BindAll(query.space, after.due, after.key, query.limit + 1);
  if (query.event_id) select.Bind(5, *query.event_id);
  return select.ForEach([&](const Statement& row) {
    if (page.events.size() == query.limit) {
      const ScheduledEvent& last = page.events.back();
      page.next = fmt::format("{}/{}", ToUnixMicros(last.due), last.key);
    } else {
      page.events.push_back(ReadEvent(row));
    }
    return absl::OkStatus();
  });
}

absl::Status Get(Connection& connection, const std::string& space, const std::string& key,
                 ScheduledEvent& event) {
  static const std::string kSelect =
      fmt::format("SELECT {} FROM scheduled WHERE space = ? AND key = ?", kColumns);
  ASSIGN_OR_RETURN(auto select, connection.Prepare(kSelect));
  select.BindAll(space, key);
  ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) {
    return absl::NotFoundError(
        fmt::format("scheduled event \"spaces/{}/scheduledEvents/{}\" not found", space, key));
  }
  event = ReadEvent(select);
  return absl::OkStatus();
}

}  // namespace

void SqliteStateStore::Schedule(std::vector<ScheduledEvent> events,
                                Result<std::vector<bool>> done) {
  WriteValue<std::vector<bool>>(
      [this, events = std::move(events)](Connection& connection, std::vector<bool>& fresh) {
        return Insert(connection, events, options_.clock->Wall(), fresh);
      },
      std::move(done));
}

void SqliteStateStore::ListDue(DueQuery query, Result<DueEvents> done) {
  ReadValue<DueEvents>(
      [query = std::move(query)](Connection& connection, DueEvents& due) {
        return Due(connection, query, due);
      },
      std::move(done));
}

void SqliteStateStore::RemoveScheduled(std::vector<ScheduledEvent> events, Done done) {
  database_->writer().Write(
      [this, events = std::move(events)](Connection& connection) {
        return Remove(connection, events,
                      ToUnixMicros(options_.clock->Wall() + options_.dedup_window));
      },
      std::move(done));
}

void SqliteStateStore::ListScheduled(ScheduledQuery query, Result<ScheduledPage> done) {
  ReadValue<ScheduledPage>(
      [query = std::move(query)](Connection& connection, ScheduledPage& page) {
        return List(connection, query, page);
      },
      std::move(done));
}

void SqliteStateStore::GetScheduled(const std::string& space, const std::string& key,
                                    Result<ScheduledEvent> done) {
  ReadValue<ScheduledEvent>(
      [=](Connection& connection, ScheduledEvent& event) {
        return Get(connection, space, key, event);
      },
      std::move(done));
}

void SqliteStateStore::CancelScheduled(const std::string& space, const std::string& key,
                                       Result<ScheduledEvent> done) {
  WriteValue<ScheduledEvent>(
      [=](Connection& connection, ScheduledEvent& event) -> absl::Status {
        RETURN_IF_ERROR(Get(connection, space, key, event));
        return connection.Run("DELETE FROM scheduled WHERE space = ? AND key = ?", space, key);
      },
      std::move(done));
}

void SqliteStateStore::CountScheduled(Result<std::uint64_t> done) {
  ReadValue<std::uint64_t>(
      [](Connection& connection, std::uint64_t& count) -> absl::Status {
        ASSIGN_OR_RETURN(auto select, connection.Prepare("SELECT COUNT(*) FROM scheduled"));
        return select.ForEach([&](const Statement& row) {
          count = static_cast<std::uint64_t>(row.Int(0));
          return absl::OkStatus();
        });
      },
      std::move(done));
}

}  // namespace penstock::broker
