#include "services/function-executor/storage/execution_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "libs/base/status.h"

namespace penstock::executor {
namespace {

// Records at the front among which those that are too old are looked for: long calls, and a clock
// that was ahead, leave some between them that are not.
constexpr std::int64_t kAgeWindow = 500;

// Marks the file: "PnEx".
constexpr std::int32_t kApplicationId = 0x506e4578;

constexpr char kColumns[] =
    "id, space, function, function_version, trigger_kind, state, start_micros, duration_micros, "
    "attempt, delivery_id, subscription, event_id, event_type, event_source, caller, "
    "input_type, input, input_size, output_type, output, output_size, error_category, error_type, "
    "error_message, error_stack, log_out, log_err, log_truncated, instance, traceparent, "
    "delivery_ids, steps, queue_micros, middleware_micros, driver_micros";

// Lines hold no line end, so one separates them.
std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append(1, '\n');
  return text;
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// A step a line: phase, space, microseconds, name and effect, with tabs between them.
std::string JoinSteps(const std::vector<StepRecord>& steps) {
  std::string text;
  for (const StepRecord& step : steps) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\n", static_cast<int>(step.phase),
                        step.is_of_space ? 1 : 0, step.duration.count(), step.name, step.effect);
  }
  return text;
}

std::vector<StepRecord> SplitSteps(std::string_view text) {
  std::vector<StepRecord> steps;
  for (const std::string& line : Split(text)) {
    std::string_view rest = line;
    const auto next = [&rest] {
      const std::size_t end = std::min(rest.find('\t'), rest.size());
      const std::string_view part = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      return part;
    };
    StepRecord& step = steps.emplace_back();
    step.phase = next() == "0" ? StepPhase::kBefore : StepPhase::kAfter;
    step.is_of_space = next() == "1";
    const std::string_view micros = next();
    std::int64_t count = 0;
    std::from_chars(micros.data(), micros.data() + micros.size(), count);
    step.duration = Microseconds(count);
    step.name = next();
    step.effect = rest;
  }
  return steps;
}

// What is empty is NULL, which costs neither a byte nor an entry in a partial index.
std::optional<std::string_view> OrNull(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

void BindBody(sqlite::Statement& statement, int parameter,
              const std::optional<RecordedBody>& body) {
  if (!body) return;  // Unbound parameters are NULL.
  statement.Bind(parameter, body->content_type);
  statement.Bind(parameter + 1, sqlite::Blob{body->bytes});
  statement.Bind(parameter + 2, body->size);
}

std::optional<RecordedBody> ReadBody(const sqlite::Statement& row, int column) {
  if (row.IsNull(column + 2)) return std::nullopt;
  RecordedBody body;
  body.content_type = row.String(column);
  body.bytes = std::string(row.Bytes(column + 1));
  body.size = row.Int(column + 2);
  body.truncated = static_cast<std::int64_t>(body.bytes.size()) < body.size;
  return body;
}

ExecutionRecord ReadRecord(const sqlite::Statement& row) {
  ExecutionRecord record;
  record.id = row.String(0);
  record.space = row.String(1);
  record.function = row.String(2);
  record.function_version = row.Int(3);
  record.trigger = static_cast<TriggerKind>(row.Int(4));
  record.state = static_cast<ExecutionState>(row.Int(5));
  record.start = FromUnixMicros(row.Int(6));
  record.duration = Microseconds(row.Int(7));
  record.attempt = static_cast<int>(row.Int(8));
  record.delivery_id = row.String(9);
  record.subscription = row.String(10);
  record.event_id = row.String(11);
  record.event_type = row.String(12);
  record.event_source = row.String(13);
  record.caller = row.String(14);
  record.input = ReadBody(row, 15);
  record.output = ReadBody(row, 18);
  if (!row.IsNull(21)) {
    record.error = FunctionError{static_cast<ErrorCategory>(row.Int(21)), row.String(22),
                                 row.String(23), Split(row.Text(24))};
  }
  record.logs.out = Split(row.Text(25));
  record.logs.err = Split(row.Text(26));
  record.logs.truncated = row.Int(27) != 0;
  record.instance = row.String(28);
  record.traceparent = row.String(29);
  record.delivery_ids = Split(row.Text(30));
  record.steps = SplitSteps(row.Text(31));
  record.queue = Microseconds(row.Int(32));
  record.middleware = Microseconds(row.Int(33));
  record.driver = Microseconds(row.Int(34));
  return record;
}

// The conditions of a query, and what they compare with, in order.
struct Conditions {
  std::string sql;
  std::vector<std::function<void(sqlite::Statement&, int)>> binds;

  template <typename Value>
  void Add(std::string_view condition, Value value) {
    sql.append(sql.empty() ? " WHERE " : " AND ").append(condition);
    binds.push_back([value = std::move(value)](sqlite::Statement& statement, int parameter) {
      statement.Bind(parameter, value);
    });
  }
};

// A plus before a column keeps SQLite from choosing its index: only the filter that leaves fewest
// rows may use one.
Conditions ConditionsOf(const ExecutionQuery& query) {
  Conditions conditions;
  bool has_index = false;
  const auto add = [&](std::string_view column, const std::string& value) {
    if (value.empty()) return;
    conditions.Add(fmt::format("{}{} = ?", has_index ? "+" : "", column), value);
    has_index = true;
  };
  if (!query.delivery_id.empty()) {
    conditions.Add("(delivery_id = ?", query.delivery_id);
    conditions.sql.append(" OR seq IN (SELECT seq FROM batch_deliveries WHERE delivery_id = ?))");
    conditions.binds.push_back(
        [id = query.delivery_id](sqlite::Statement& statement, int parameter) {
          statement.Bind(parameter, id);
        });
    has_index = true;
  }
  add("event_id", query.event_id);
  add("subscription", query.subscription);
  add("function", query.function);
  add("space", query.space);
  if (query.state) conditions.Add("+state = ?", static_cast<int>(*query.state));
  if (query.trigger) conditions.Add("+trigger_kind = ?", static_cast<int>(*query.trigger));
  if (query.start_from) conditions.Add("start_micros >= ?", ToUnixMicros(*query.start_from));
  if (query.start_to) conditions.Add("start_micros < ?", ToUnixMicros(*query.start_to));
  if (query.before) {
    conditions.Add("(start_micros, id) < (?", query.before->start_micros);
    conditions.sql.append(", ?)");
    conditions.binds.push_back(
        [id = query.before->id](sqlite::Statement& statement, int parameter) {
          statement.Bind(parameter, id);
        });
  }
  return conditions;
}

}  // namespace

sqlite::Schema ExecutionSchema() {
  return {kApplicationId,
          {R"sql(
            CREATE TABLE executions (
              seq INTEGER PRIMARY KEY,  -- In the order of writing, oldest first: what retention goes by.
              id TEXT NOT NULL UNIQUE,
              space TEXT NOT NULL,
              function TEXT NOT NULL,
              function_version INTEGER NOT NULL,
              trigger_kind INTEGER NOT NULL,
              state INTEGER NOT NULL,
              start_micros INTEGER NOT NULL,
              duration_micros INTEGER NOT NULL,
              attempt INTEGER NOT NULL,
              delivery_id TEXT,
              subscription TEXT,
              event_id TEXT,
              event_type TEXT,
              event_source TEXT,
              caller TEXT,
              input_type TEXT, input BLOB, input_size INTEGER,
              output_type TEXT, output BLOB, output_size INTEGER,
              error_category INTEGER, error_type TEXT, error_message TEXT, error_stack TEXT,
              log_out TEXT, log_err TEXT, log_truncated INTEGER NOT NULL,
              instance TEXT NOT NULL,
              traceparent TEXT
            );
            CREATE INDEX executions_by_space ON executions (space, start_micros, id);
            CREATE INDEX executions_by_function ON executions (function, start_micros, id);
            CREATE INDEX executions_by_subscription
              ON executions (subscription, start_micros, id) WHERE subscription IS NOT NULL;
            CREATE INDEX executions_by_event ON executions (event_id) WHERE event_id IS NOT NULL;
            CREATE INDEX executions_by_delivery
              ON executions (delivery_id) WHERE delivery_id IS NOT NULL;
          )sql",
           R"sql(
            ALTER TABLE executions ADD COLUMN delivery_ids TEXT;  -- Of a batch, one a line.
            -- The further deliveries of batches, to be found by their ids.
            CREATE TABLE batch_deliveries (
              seq INTEGER NOT NULL,  -- Of the execution.
              delivery_id TEXT NOT NULL,
              PRIMARY KEY (seq, delivery_id)
            ) WITHOUT ROWID;
            CREATE INDEX batch_deliveries_by_delivery ON batch_deliveries (delivery_id);
            CREATE TRIGGER executions_deleted AFTER DELETE ON executions
              WHEN old.delivery_ids IS NOT NULL
            BEGIN
              DELETE FROM batch_deliveries WHERE seq = old.seq;
            END;
          )sql",
           // What the middleware did, a step a line; NULL where there was none.
           R"sql(
            ALTER TABLE executions ADD COLUMN steps TEXT;
           )sql",
           // Timings by stage.
           R"sql(
            ALTER TABLE executions ADD COLUMN queue_micros INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE executions ADD COLUMN middleware_micros INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE executions ADD COLUMN driver_micros INTEGER NOT NULL DEFAULT 0;
          )sql"}};
}

namespace {

absl::Status InsertBatch(sqlite::Connection& db, const ExecutionRecord& record) {
  const std::int64_t seq = db.last_insert_rowid();
  for (const std::string& id : record.delivery_ids) {
    if (id == record.delivery_id) continue;
    RETURN_IF_ERROR(
        db.Run("INSERT OR IGNORE INTO batch_deliveries (seq, delivery_id) VALUES (?, ?)", seq, id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InsertExecution(sqlite::Connection& db, const ExecutionRecord& record) {
  static const std::string sql = fmt::format(
      "INSERT OR IGNORE INTO executions ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      kColumns);
  ASSIGN_OR_RETURN(sqlite::Statement statement, db.Prepare(sql));
  statement.BindAll(record.id, record.space, record.function, record.function_version,
                    static_cast<int>(record.trigger), static_cast<int>(record.state),
                    ToUnixMicros(record.start), record.duration.count(), record.attempt,
                    OrNull(record.delivery_id), OrNull(record.subscription),
                    OrNull(record.event_id), OrNull(record.event_type), OrNull(record.event_source),
                    OrNull(record.caller));
  BindBody(statement, 16, record.input);
  BindBody(statement, 19, record.output);
  if (record.error) {
    statement.Bind(22, static_cast<int>(record.error->category));
    statement.Bind(23, record.error->type);
    statement.Bind(24, record.error->message);
    statement.Bind(25, Join(record.error->stacktrace));
  }
  statement.Bind(26, OrNull(Join(record.logs.out)));
  statement.Bind(27, OrNull(Join(record.logs.err)));
  statement.Bind(28, record.logs.truncated ? 1 : 0);
  statement.Bind(29, record.instance);
  statement.Bind(30, OrNull(record.traceparent));
  const std::string delivery_ids = Join(record.delivery_ids);
  statement.Bind(31, OrNull(delivery_ids));
  const std::string steps = JoinSteps(record.steps);
  statement.Bind(32, OrNull(steps));
  statement.Bind(33, record.queue.count());
  statement.Bind(34, record.middleware.count());
  statement.Bind(35, record.driver.count());
  RETURN_IF_ERROR(statement.Run());
  if (record.delivery_ids.empty() || db.changes() == 0) return absl::OkStatus();
  return InsertBatch(db, record);
}

absl::StatusOr<ExecutionRecord> SelectExecution(sqlite::Connection& db, const std::string& space,
                                                const std::string& id) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      db.Prepare(fmt::format("SELECT {} FROM executions WHERE id = ? AND space = ?", kColumns)));
  statement.BindAll(id, space);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) {
    return absl::NotFoundError(
        fmt::format("there is no execution spaces/{}/executions/{} (any more)", space, id));
  }
  return ReadRecord(statement);
}

absl::StatusOr<std::vector<ExecutionRecord>> SelectExecutions(sqlite::Connection& db,
                                                              const ExecutionQuery& query) {
  const Conditions conditions = ConditionsOf(query);
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   db.Prepare(fmt::format(
                       "SELECT {} FROM executions{} ORDER BY start_micros DESC, id DESC LIMIT ?",
                       kColumns, conditions.sql)));
  int parameter = 0;
  for (const auto& bind : conditions.binds) bind(statement, ++parameter);
  statement.Bind(++parameter, static_cast<std::int64_t>(query.limit));
  std::vector<ExecutionRecord> records;
  RETURN_IF_ERROR(statement.ForEach([&](const sqlite::Statement& row) {
    records.push_back(ReadRecord(row));
    return absl::OkStatus();
  }));
  return records;
}

namespace {

// What the records take in the file, without pages that are free for new ones.
absl::StatusOr<std::int64_t> BytesUsed(sqlite::Connection& db) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   db.Prepare("SELECT (c.page_count - f.freelist_count) * s.page_size FROM "
                              "pragma_page_count c, pragma_freelist_count f, pragma_page_size s"));
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Int(0) : 0;
}

// The oldest, as many as the bytes above the limit are likely to be of; the next time sees what is
// left.
absl::StatusOr<std::int64_t> DeleteAboveBytes(sqlite::Connection& db, std::int64_t bytes_max,
                                              std::int64_t first, std::int64_t count,
                                              std::int64_t slice) {
  if (bytes_max <= 0) return 0;
  ASSIGN_OR_RETURN(const std::int64_t used, BytesUsed(db));
  if (used <= bytes_max) return 0;
  const double share = static_cast<double>(used - bytes_max) / static_cast<double>(used);
  const auto wanted = static_cast<std::int64_t>(share * static_cast<double>(count)) + 1;
  RETURN_IF_ERROR(db.Run("DELETE FROM executions WHERE seq < ?", first + std::min(wanted, slice)));
  return db.changes();
}

}  // namespace

absl::StatusOr<std::int64_t> DeleteOldExecutions(sqlite::Connection& db,
                                                 const RetentionLimits& limits,
                                                 std::int64_t slice) {
  const std::int64_t count_max = limits.count_max;
  RETURN_IF_ERROR(
      db.Run("DELETE FROM executions WHERE seq IN (SELECT seq FROM (SELECT seq, start_micros FROM "
             "executions ORDER BY seq LIMIT ?) WHERE start_micros < ? LIMIT ?)",
             std::max(slice, kAgeWindow), ToUnixMicros(limits.oldest_kept), slice));
  std::int64_t deleted = db.changes();
  // Rows go from the front, so the span of seq is their number, but for rare gaps: it never counts
  // too few.
  std::int64_t first = 0;
  std::int64_t count = 0;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement,
                     db.Prepare("SELECT (SELECT min(seq) FROM executions), "
                                "(SELECT max(seq) FROM executions)"));
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found || statement.IsNull(0)) return deleted;
    first = statement.Int(0);
    count = statement.Int(1) - first + 1;
  }
  if (count > count_max) {
    RETURN_IF_ERROR(
        db.Run("DELETE FROM executions WHERE seq < ?", first + std::min(count - count_max, slice)));
    deleted += db.changes();
    return deleted;
  }
  ASSIGN_OR_RETURN(const std::int64_t large,
                   DeleteAboveBytes(db, limits.bytes_max, first, count, slice));
  return deleted + large;
}

}  // namespace penstock::executor
