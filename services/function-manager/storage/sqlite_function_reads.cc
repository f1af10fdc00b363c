#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/storage/spec_json.h"
#include "services/function-manager/storage/sqlite_function_session.h"

namespace penstock::functions {
namespace {

// What VersionOf reads, in its order; `f` is the function, `v` the version.
#define PENSTOCK_VERSION_COLUMNS                                                           \
  "f.space, f.id, f.uid, v.version, v.revision, f.create_time, v.update_time, f.creator, " \
  "v.state, v.state_reason, v.metadata, v.spec"
// What FunctionOf reads besides.
#define PENSTOCK_CURRENT_FUNCTIONS                                                              \
  "SELECT " PENSTOCK_VERSION_COLUMNS                                                            \
  ", f.revision, f.generation, f.traffic, f.aliases FROM functions f JOIN versions v ON v.uid " \
  "= f.uid AND v.version = f.version "
#define PENSTOCK_VERSIONS \
  "SELECT " PENSTOCK_VERSION_COLUMNS " FROM functions f JOIN versions v ON v.uid = f.uid "

constexpr std::string_view kGet = PENSTOCK_CURRENT_FUNCTIONS "WHERE f.space = ?1 AND f.id = ?2";
constexpr std::string_view kList = PENSTOCK_CURRENT_FUNCTIONS "WHERE f.space = ? AND f.id > ?";
constexpr std::string_view kVersions = PENSTOCK_VERSIONS
    "WHERE f.space = ?1 AND f.id = ?2 AND (?3 = 0 OR v.version < ?3) ORDER BY v.version DESC";
constexpr std::string_view kGetVersion =
    PENSTOCK_VERSIONS "WHERE f.space = ?1 AND f.id = ?2 AND v.version = ?3";
constexpr std::string_view kOlder =
    PENSTOCK_VERSIONS "WHERE v.revision > ?1 AND v.version <> f.version ORDER BY v.revision";
constexpr std::string_view kChanged =
    PENSTOCK_CURRENT_FUNCTIONS "WHERE f.revision > ?1 ORDER BY f.revision";
constexpr std::string_view kDeleted =
    "SELECT space, id, uid, version, revision FROM deletions WHERE revision > ?1 ORDER BY revision";

#undef PENSTOCK_VERSIONS
#undef PENSTOCK_CURRENT_FUNCTIONS
#undef PENSTOCK_VERSION_COLUMNS

constexpr int kRevisionColumn = 12;  // Of a function; a version's is the fifth.

absl::StatusOr<Function> VersionOf(const sqlite::Statement& row) {
  Function function;
  ASSIGN_OR_RETURN(function.spec, SpecFromJson(row.Text(11)));
  ASSIGN_OR_RETURN(function.spec.metadata, StringsFromJson(row.Text(10)));
  function.name = {row.String(0), row.String(1)};
  function.uid = row.String(2);
  function.version = row.Int(3);
  function.revision = row.Int(4);
  function.create_time = FromUnixMicros(row.Int(5));
  function.update_time = FromUnixMicros(row.Int(6));
  function.creator = row.String(7);
  function.state = static_cast<FunctionState>(row.Int(8));
  function.state_reason = row.String(9);
  function.is_version = true;
  return function;
}

absl::StatusOr<Function> FunctionOf(const sqlite::Statement& row) {
  ASSIGN_OR_RETURN(Function function, VersionOf(row));
  function.is_version = false;
  function.revision = row.Int(kRevisionColumn);
  function.generation = row.Int(kRevisionColumn + 1);
  ASSIGN_OR_RETURN(function.traffic, TrafficFromJson(row.Text(kRevisionColumn + 2)));
  ASSIGN_OR_RETURN(function.aliases, AliasesFromJson(row.Text(kRevisionColumn + 3)));
  return function;
}

Function DeletionOf(const sqlite::Statement& row) {
  Function function;
  function.name = {row.String(0), row.String(1)};
  function.uid = row.String(2);
  function.version = row.Int(3);
  function.revision = row.Int(4);
  return function;
}

// Counts entries against the limits of a page.
class PageBudget {
 public:
  explicit PageBudget(const PageLimits& limits) : limits_(limits) {}

  bool HasRoom() const {
    return count_ == 0 || (count_ < limits_.count_max && bytes_ < limits_.bytes_max);
  }
  void Take(std::size_t bytes) {
    ++count_;
    bytes_ += bytes;
  }

 private:
  const PageLimits limits_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

// Reads rows with `read` until the page is full or there are no more.
absl::StatusOr<FunctionPage> ReadPage(sqlite::Statement& statement, const PageLimits& limits,
                                      absl::StatusOr<Function> (&read)(const sqlite::Statement&)) {
  FunctionPage page;
  PageBudget budget(limits);
  while (true) {
    ASSIGN_OR_RETURN(const bool has_row, statement.Step());
    if (!has_row) return page;
    if (!budget.HasRoom()) {
      page.has_more = true;
      return page;
    }
    ASSIGN_OR_RETURN(Function function, read(statement));
    budget.Take(ByteSize(function));
    page.functions.push_back(std::move(function));
  }
}

}  // namespace

absl::StatusOr<std::optional<Function>> SqliteFunctionSession::Get(const FunctionName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kGet));
  statement.BindAll(name.space, name.id);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return std::optional<Function>();
  ASSIGN_OR_RETURN(Function function, FunctionOf(statement));
  return std::optional<Function>(std::move(function));
}

absl::StatusOr<bool> SqliteFunctionSession::Exists(const FunctionName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT 1 FROM functions WHERE space = ? AND id = ?"));
  statement.BindAll(name.space, name.id);
  return statement.Step();
}

absl::StatusOr<FunctionPage> SqliteFunctionSession::List(const ListQuery& query) {
  std::string sql(kList);
  if (query.creator) sql += " AND f.creator = ?";
  for (std::size_t i = 0; i < query.metadata.size(); ++i) {
    sql += " AND EXISTS (SELECT 1 FROM json_each(v.metadata) m WHERE m.key = ? AND m.value = ?)";
  }
  sql += " ORDER BY f.id";
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(sql));
  int parameter = 0;
  statement.Bind(++parameter, query.space);
  statement.Bind(++parameter, query.after_id);
  if (query.creator) statement.Bind(++parameter, *query.creator);
  for (const auto& [key, value] : query.metadata) {
    statement.Bind(++parameter, key);
    statement.Bind(++parameter, value);
  }
  return ReadPage(statement, query.limits, FunctionOf);
}

absl::StatusOr<FunctionPage> SqliteFunctionSession::ListVersions(const VersionQuery& query) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kVersions));
  statement.BindAll(query.name.space, query.name.id, query.before_version);
  return ReadPage(statement, query.limits, VersionOf);
}

absl::StatusOr<std::optional<Function>> SqliteFunctionSession::GetVersion(const FunctionName& name,
                                                                          std::int64_t version) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kGetVersion));
  statement.BindAll(name.space, name.id, version);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return std::optional<Function>();
  ASSIGN_OR_RETURN(Function found, VersionOf(statement));
  return std::optional<Function>(std::move(found));
}

absl::StatusOr<std::vector<std::int64_t>> SqliteFunctionSession::Versions(
    const FunctionName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT uid FROM functions WHERE space = ? AND id = ?"));
  statement.BindAll(name.space, name.id);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return std::vector<std::int64_t>();
  return VersionsOf(statement.String(0));
}

absl::StatusOr<std::vector<std::int64_t>> SqliteFunctionSession::VersionsOf(
    const std::string& uid) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      connection_.Prepare("SELECT version FROM versions WHERE uid = ? ORDER BY version"));
  statement.BindAll(uid);
  std::vector<std::int64_t> versions;
  RETURN_IF_ERROR(statement.ForEach([&versions](const sqlite::Statement& row) {
    versions.push_back(row.Int(0));
    return absl::OkStatus();
  }));
  return versions;
}

absl::StatusOr<ChangePage> SqliteFunctionSession::Changes(const ChangeQuery& query) {
  ASSIGN_OR_RETURN(sqlite::Statement older, connection_.Prepare(kOlder));
  ASSIGN_OR_RETURN(sqlite::Statement changed, connection_.Prepare(kChanged));
  ASSIGN_OR_RETURN(sqlite::Statement deleted, connection_.Prepare(kDeleted));
  older.BindAll(query.after);
  changed.BindAll(query.after);
  deleted.BindAll(query.deletions_after);
  ASSIGN_OR_RETURN(bool has_older, older.Step());
  ASSIGN_OR_RETURN(bool has_changed, changed.Step());
  ASSIGN_OR_RETURN(bool has_deleted, deleted.Step());
  ChangePage page;
  PageBudget budget(query.limits);
  // The revision of what comes next from each of the three; no two of them are equal.
  constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  while (has_older || has_changed || has_deleted) {
    if (!budget.HasRoom()) {
      page.has_more = true;
      page.revision = page.changes.back().function.revision;
      return page;
    }
    Change change;
    const std::int64_t next_older = has_older ? older.Int(4) : kNone;
    const std::int64_t next_changed = has_changed ? changed.Int(kRevisionColumn) : kNone;
    const std::int64_t next_deleted = has_deleted ? deleted.Int(4) : kNone;
    change.is_deleted = next_deleted < std::min(next_older, next_changed);
    if (next_older < std::min(next_changed, next_deleted)) {
      ASSIGN_OR_RETURN(change.function, VersionOf(older));
      ASSIGN_OR_RETURN(has_older, older.Step());
    } else if (change.is_deleted) {
      change.function = DeletionOf(deleted);
      ASSIGN_OR_RETURN(has_deleted, deleted.Step());
    } else {
      ASSIGN_OR_RETURN(change.function, FunctionOf(changed));
      ASSIGN_OR_RETURN(change.kept, VersionsOf(change.function.uid));
      ASSIGN_OR_RETURN(change.secrets, SecretsOf(change.function));
      ASSIGN_OR_RETURN(const SpaceMiddleware of_space,
                       GetSpaceMiddleware(change.function.name.space));
      change.space_middleware = of_space.steps;
      ASSIGN_OR_RETURN(has_changed, changed.Step());
    }
    std::size_t bytes = ByteSize(change.function) + change.space_middleware.size();
    for (const SecretValue& value : change.secrets) bytes += value.sealed.ciphertext.size();
    budget.Take(bytes);
    page.changes.push_back(std::move(change));
  }
  ASSIGN_OR_RETURN(page.revision, Revision());
  return page;
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::Counter(std::string_view key) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT value FROM counters WHERE key = ?"));
  statement.BindAll(key);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return absl::DataLossError(fmt::format("the store lacks its counter {}", key));
  return statement.Int(0);
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::Revision() { return Counter("revision"); }

absl::StatusOr<std::int64_t> SqliteFunctionSession::ResumableFrom() {
  return Counter("resumable_from");
}

absl::StatusOr<std::vector<std::string>> SqliteFunctionSession::Holders(const FunctionName& name,
                                                                        std::size_t count_max) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT DISTINCT holder FROM holds WHERE space = ? AND "
                                       "id = ? ORDER BY holder LIMIT ?"));
  statement.BindAll(name.space, name.id, count_max);
  std::vector<std::string> holders;
  RETURN_IF_ERROR(statement.ForEach([&holders](const sqlite::Statement& row) {
    holders.push_back(row.String(0));
    return absl::OkStatus();
  }));
  return holders;
}

absl::StatusOr<std::vector<Hold>> SqliteFunctionSession::TagHolds(const FunctionName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT tag, holder, service FROM holds WHERE space = ? AND "
                                       "id = ? AND tag <> '' ORDER BY tag, holder"));
  statement.BindAll(name.space, name.id);
  std::vector<Hold> holds;
  RETURN_IF_ERROR(statement.ForEach([&](const sqlite::Statement& row) {
    holds.push_back({name, row.String(0), row.String(1), row.String(2)});
    return absl::OkStatus();
  }));
  return holds;
}

absl::StatusOr<std::vector<Hold>> SqliteFunctionSession::HoldsOf(const std::string& service) {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT space, id, tag, holder FROM holds WHERE service = ? "
                                       "ORDER BY space, id, tag, holder"));
  statement.BindAll(service);
  std::vector<Hold> holds;
  RETURN_IF_ERROR(statement.ForEach([&](const sqlite::Statement& row) {
    holds.push_back({{row.String(0), row.String(1)}, row.String(2), row.String(3), service});
    return absl::OkStatus();
  }));
  return holds;
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::CountFunctions() {
  ASSIGN_OR_RETURN(sqlite::Statement statement,
                   connection_.Prepare("SELECT COUNT(*) FROM functions"));
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  return has_row ? statement.Int(0) : 0;
}

absl::StatusOr<std::vector<VersionName>> SqliteFunctionSession::SplitsOver(
    const FunctionName& name) {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      connection_.Prepare("SELECT f.id, v.version FROM functions f JOIN versions v ON v.uid = "
                          "f.uid, json_each(v.spec, '$.weighted') t WHERE f.space = ? AND "
                          "json_extract(t.value, '$.function') = ? ORDER BY f.id, v.version"));
  statement.BindAll(name.space, name.id);
  std::vector<VersionName> splits;
  RETURN_IF_ERROR(statement.ForEach([&](const sqlite::Statement& row) {
    splits.push_back({{name.space, row.String(0)}, row.Int(1)});
    return absl::OkStatus();
  }));
  return splits;
}

absl::StatusOr<std::set<SourceName>> SqliteFunctionSession::SourcesInUse() {
  ASSIGN_OR_RETURN(
      sqlite::Statement statement,
      connection_.Prepare("SELECT DISTINCT f.space, json_extract(v.spec, '$.process.sourceDigest') "
                          "FROM versions v JOIN functions f ON f.uid = v.uid "
                          "WHERE json_extract(v.spec, '$.process.sourceDigest') IS NOT NULL"));
  std::set<SourceName> sources;
  RETURN_IF_ERROR(statement.ForEach([&sources](const sqlite::Statement& row) {
    sources.insert({row.String(0), row.String(1)});
    return absl::OkStatus();
  }));
  return sources;
}

}  // namespace penstock::functions
