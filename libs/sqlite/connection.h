// One SQLite connection: opening with the house's settings, statements, transactions, migrations,
// backup.
//
// Everything here may block and must stay off gRPC callback threads. A Connection and its
// Statements belong to one thread at a time. Exceptions of the library below end here: every
// failure is an absl::Status.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/status.h"
#include "libs/sqlite/statement.h"

namespace penstock::sqlite {

// When a commit is on disk. In WAL mode, kNormal may lose the last commits on power loss, never on
// a crash of the process; kFull loses nothing.
enum class Synchronous { kFull, kNormal };

struct OpenOptions {
  std::string path;
  std::chrono::milliseconds busy_timeout{2000};
  Synchronous synchronous = Synchronous::kFull;
  // Pages of the write-ahead log from which on a commit moves them into the file, with two fsyncs
  // that last as long as there is to write.
  int checkpoint_pages = 1000;
  bool read_only = false;
  // Prepared statements kept per connection; the oldest unused one goes first.
  std::size_t statements_max = 128;
};

// What a database file holds. Step i of `migrations` (one or more SQL statements) brings PRAGMA
// user_version from i to i + 1; released steps never change, new ones are appended.
struct Schema {
  std::int32_t application_id = 0;  // Not zero; marks the file as this store's.
  std::vector<std::string> migrations;
};

// One connection. Not thread-safe.
class Connection {
 public:
  // Opens or (unless read_only) creates the file. The error names the path.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(OpenOptions options);

  // Opens for writing, checks the application id, and applies the missing migrations, each in a
  // transaction of its own. A file of another application, or with a version newer than `schema`
  // knows, is refused untouched (FAILED_PRECONDITION, reasons FOREIGN_DATABASE and SCHEMA_TOO_NEW).
  static absl::StatusOr<std::unique_ptr<Connection>> OpenAndMigrate(OpenOptions options,
                                                                    const Schema& schema);

  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A statement ready to bind, from this connection's cache when it is there. It must die before
  // the connection.
  absl::StatusOr<Statement> Prepare(std::string_view sql);

  // Prepares, binds `values` in order, and runs a statement that returns no rows.
  template <typename... Values>
  absl::Status Run(std::string_view sql, const Values&... values) {
    auto statement = Prepare(sql);
    if (!statement.ok()) return statement.status();
    statement->BindAll(values...);
    return statement->Run();
  }

  // Runs one or more SQL statements that need no values; result rows are ignored.
  absl::Status ExecuteScript(std::string_view sql);

  // Runs `body` in an IMMEDIATE transaction: committed when it returns OK, rolled back otherwise
  // (also when it throws: INTERNAL).
  absl::Status InTransaction(const std::function<absl::Status()>& body);

  // True between BEGIN and COMMIT or ROLLBACK. Some errors (full disk) end a transaction by
  // themselves.
  bool in_transaction() const;

  // Rows changed by the last INSERT, UPDATE or DELETE.
  std::int64_t changes() const;
  std::int64_t last_insert_rowid() const;
  const std::string& path() const;

  // Copies the whole database, as of now, into a new file at `target_path`. Writers go on
  // meanwhile; the copy is complete and synced when this returns OK, and removed when it fails. An
  // existing file is refused.
  absl::Status Backup(const std::string& target_path);

  // Moves what is in the write-ahead log into the database file and truncates the log.
  absl::Status Checkpoint();

 private:
  friend class Statement;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::sqlite
