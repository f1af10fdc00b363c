#include "services/function-manager/storage/sqlite_function_store.h"

#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/storage/sqlite_function_session.h"

namespace penstock::functions {
namespace {

constexpr std::int32_t kApplicationId = 0x50'53'46'4D;  // "PSFM"

// A version is stored once and never changed, but for its state; `functions` says which one is
// current. A function's revision is that of its last change; `deletions` has those of functions
// that are gone, the newest ones only. Together they are the change feed.
constexpr char kMigration1[] = R"sql(
CREATE TABLE counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE functions (
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  uid TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL UNIQUE,
  create_time INTEGER NOT NULL,
  creator TEXT NOT NULL,
  state INTEGER NOT NULL,
  state_reason TEXT NOT NULL,
  PRIMARY KEY (space, id));
CREATE TABLE versions (
  uid TEXT NOT NULL,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  spec TEXT NOT NULL,
  PRIMARY KEY (uid, version));
CREATE TABLE deletions (
  sequence INTEGER PRIMARY KEY,
  revision INTEGER NOT NULL UNIQUE,
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  uid TEXT NOT NULL,
  version INTEGER NOT NULL);
CREATE TABLE holds (
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  holder TEXT NOT NULL,
  service TEXT NOT NULL,
  PRIMARY KEY (space, id, holder)) WITHOUT ROWID;
CREATE INDEX holds_by_service ON holds (service);
)sql";

// `generation` counts the changes of a function; `traffic` and `aliases` are JSON. A hold may name
// a version or an alias, its tag.
constexpr char kMigration2[] = R"sql(
ALTER TABLE functions ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE functions ADD COLUMN traffic TEXT NOT NULL DEFAULT '[]';
ALTER TABLE functions ADD COLUMN aliases TEXT NOT NULL DEFAULT '{}';
UPDATE functions SET generation = version;
CREATE INDEX versions_by_revision ON versions (revision);
DROP INDEX holds_by_service;
ALTER TABLE holds RENAME TO holds_before;
CREATE TABLE holds (
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  tag TEXT NOT NULL,
  holder TEXT NOT NULL,
  service TEXT NOT NULL,
  PRIMARY KEY (space, id, tag, holder)) WITHOUT ROWID;
INSERT INTO holds SELECT space, id, '', holder, service FROM holds_before;
DROP TABLE holds_before;
CREATE INDEX holds_by_service ON holds (service);
)sql";

// `key_id` names the key that encrypts a value, which is bound to its secret and its own key.
constexpr char kMigration3[] = R"sql(
CREATE TABLE secrets (
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  uid TEXT NOT NULL,
  generation INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  creator TEXT NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (space, id));
CREATE TABLE secret_values (
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  key_id TEXT NOT NULL,
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  PRIMARY KEY (space, id, key));
)sql";

// The steps of spaces that have any, or had. `steps` is JSON.
constexpr char kMigrationSpaceMiddleware[] = R"sql(
CREATE TABLE space_middleware (
  space TEXT PRIMARY KEY,
  generation INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  steps TEXT NOT NULL) WITHOUT ROWID;
)sql";

// Each version has a state of its own: 0 deploying, 1 ready, 2 failed. Those that were there run.
constexpr char kMigrationStates[] = R"sql(
ALTER TABLE versions ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE versions ADD COLUMN state_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE functions DROP COLUMN state;
ALTER TABLE functions DROP COLUMN state_reason;
)sql";

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteFunctionStore>> SqliteFunctionStore::Open(Options options,
                                                                               const Clock& clock) {
  std::unique_ptr<SqliteFunctionStore> store(new SqliteFunctionStore(std::move(options)));
  RETURN_IF_ERROR(store->Init(clock));
  return store;
}

absl::Status SqliteFunctionStore::Init(const Clock& clock) {
  sqlite::Database::Options options;
  options.open.path = options_.path;
  options.open.synchronous = sqlite::Synchronous::kFull;
  options.schema = {.application_id = kApplicationId,
                    .migrations = {kMigration1, kMigration2, kMigration3, kMigrationSpaceMiddleware,
                                   kMigrationStates}};
  options.writer.name = "fm-writer";
  options.readers.name = "fm-reader";
  options.readers.connections = 2;
  ASSIGN_OR_RETURN(database_, sqlite::Database::Open(std::move(options)));
  return database_->writer().WriteAndWait([&](sqlite::Connection& connection) -> absl::Status {
    SqliteFunctionSession session(connection, options_.deletions_kept);
    RETURN_IF_ERROR(session.InitCounters(ToUnixMicros(clock.Wall())));
    ASSIGN_OR_RETURN(const std::int64_t count, session.CountFunctions());
    count_ = count;
    return absl::OkStatus();
  });
}

SqliteFunctionStore::~SqliteFunctionStore() { Stop(); }

void SqliteFunctionStore::Read(ReadJob job, Done done) {
  database_->readers().ReadAsync(
      [job = std::move(job), kept = options_.deletions_kept](sqlite::Connection& connection) {
        SqliteFunctionSession session(connection, kept);
        return job(session);
      },
      std::move(done));
}

void SqliteFunctionStore::Write(WriteJob job, Done done) {
  struct Effect {
    std::int64_t revision = 0;
    std::int64_t count_change = 0;
  };
  auto effect = std::make_shared<Effect>();
  database_->writer().Write(
      [job = std::move(job), kept = options_.deletions_kept,
       effect](sqlite::Connection& connection) -> absl::Status {
        SqliteFunctionSession session(connection, kept);
        RETURN_IF_ERROR(job(session));
        *effect = {session.last_revision(), session.count_change()};
        return absl::OkStatus();
      },
      [this, effect, done = std::move(done)](absl::Status status) {
        if (status.ok()) {
          count_ += effect->count_change;
          if (effect->revision != 0 && listener_) listener_(effect->revision);
        }
        done(std::move(status));
      });
}

void SqliteFunctionStore::SetListener(Listener listener) { listener_ = std::move(listener); }

void SqliteFunctionStore::Stop() {
  if (database_ == nullptr) return;
  database_->Stop();
  listener_ = nullptr;
}

}  // namespace penstock::functions
