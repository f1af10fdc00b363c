#include "libs/sqlite/connection.h"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/internal.h"

namespace penstock::sqlite {
namespace {

const int kFlagsRead = SQLite::OPEN_READONLY;
const int kFlagsWrite = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;

absl::Status SyncFolderOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string folder = parent.empty() ? std::string(".") : parent;
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (synced) return absl::OkStatus();
  return WithReason(absl::UnavailableError(
                        fmt::format("cannot sync folder {}: {}", folder, std::strerror(error))),
                    kReasonStorage);
}

}  // namespace

Connection::Impl::Impl(OpenOptions given)
    : options(std::move(given)),
      database(options.path, options.read_only ? kFlagsRead : kFlagsWrite,
               static_cast<int>(options.busy_timeout.count())) {
  sqlite3_extended_result_codes(database.getHandle(), 1);
}

absl::Status Connection::Impl::Configure() {
  return Guarded([&]() -> absl::Status {
    if (!options.read_only) {
      if (sqlite3_db_readonly(database.getHandle(), "main") == 1) {
        return WithReason(
            absl::UnavailableError(fmt::format("database {} is read-only", options.path)),
            kReasonStorage);
      }
      const std::string mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
      if (mode != "wal") {
        return WithReason(
            absl::UnavailableError(fmt::format(
                "database {}: its file system does not support WAL mode", options.path)),
            kReasonStorage);
      }
      database.exec("PRAGMA journal_size_limit = 67108864");
      database.exec(fmt::format("PRAGMA wal_autocheckpoint = {}", options.checkpoint_pages));
      database.exec(options.synchronous == Synchronous::kFull ? "PRAGMA synchronous = FULL"
                                                              : "PRAGMA synchronous = NORMAL");
    }
    database.exec("PRAGMA foreign_keys = ON");
    database.exec("PRAGMA trusted_schema = OFF");
    return absl::OkStatus();
  });
}

void Connection::Impl::Recycle(std::unique_ptr<Statement::Impl> statement) {
  statement->last_used = ++uses;
  idle.try_emplace(statement->statement.getQuery(), std::move(statement));
  if (idle.size() <= options.statements_max) return;
  const auto oldest = std::min_element(idle.begin(), idle.end(), [](const auto& a, const auto& b) {
    return a.second->last_used < b.second->last_used;
  });
  idle.erase(oldest);
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(OpenOptions options) {
  AssertMayBlock("sqlite");
  const std::string path = options.path;
  std::unique_ptr<Connection> connection;
  const absl::Status status = Guarded([&] {
    connection.reset(new Connection(std::make_unique<Impl>(std::move(options))));
    return connection->impl_->Configure();
  });
  if (!status.ok()) return UnderPath(path, status);
  return connection;
}

absl::StatusOr<Statement> Connection::Prepare(std::string_view sql) {
  AssertMayBlock("sqlite");
  if (const auto found = impl_->idle.find(sql); found != impl_->idle.end()) {
    auto statement = std::move(found->second);
    impl_->idle.erase(found);
    return Statement(std::move(statement));
  }
  std::unique_ptr<Statement::Impl> statement;
  RETURN_IF_ERROR(Guarded([&] {
    statement = std::make_unique<Statement::Impl>(*impl_, sql);
    return absl::OkStatus();
  }));
  return Statement(std::move(statement));
}

absl::Status Connection::ExecuteScript(std::string_view sql) {
  AssertMayBlock("sqlite");
  return Guarded([&] {
    impl_->database.exec(std::string(sql));
    return absl::OkStatus();
  });
}

absl::Status Connection::InTransaction(const std::function<absl::Status()>& body) {
  RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
  absl::Status status = Guarded(body);
  if (status.ok()) {
    if (!in_transaction()) return absl::InternalError("database: the transaction ended early");
    status = Run("COMMIT");
  }
  if (!status.ok() && in_transaction()) Run("ROLLBACK").IgnoreError();
  return status;
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(impl_->database.getHandle()) == 0;
}

std::int64_t Connection::changes() const { return impl_->database.getChanges(); }
std::int64_t Connection::last_insert_rowid() const { return impl_->database.getLastInsertRowid(); }
const std::string& Connection::path() const { return impl_->options.path; }

absl::Status Connection::Backup(const std::string& target_path) {
  AssertMayBlock("sqlite");
  // Creating it here makes sure that nobody else's file is overwritten, and that only its owner
  // reads it.
  const int descriptor = ::open(target_path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    const std::string text = fmt::format("cannot create {}: {}", target_path, std::strerror(errno));
    if (errno == EEXIST) return absl::AlreadyExistsError(text);
    return WithReason(absl::UnavailableError(text), kReasonStorage);
  }
  ::close(descriptor);
  absl::Status status = Guarded([&]() -> absl::Status {
    SQLite::Database target(target_path, SQLite::OPEN_READWRITE);
    SQLite::Backup backup(target, impl_->database);
    // All pages in one step: one snapshot, whatever is written meanwhile.
    const int code = backup.executeStep(-1);
    return code == SQLITE_DONE ? absl::OkStatus() : StatusOf(code, "backup did not complete");
  });
  if (status.ok()) status = SyncFolderOf(target_path);
  if (!status.ok()) ::unlink(target_path.c_str());
  return status;
}

absl::Status Connection::Checkpoint() {
  AssertMayBlock("sqlite");
  return Guarded([&] {
    const int code = sqlite3_wal_checkpoint_v2(impl_->database.getHandle(), nullptr,
                                               SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    return StatusOf(code, sqlite3_errmsg(impl_->database.getHandle()));
  });
}

}  // namespace penstock::sqlite
