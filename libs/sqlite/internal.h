// What the connection and its statements share. For this folder's .cc files only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/sqlite/connection.h"
#include "libs/sqlite/errors.h"
#include "libs/sqlite/statement.h"

namespace penstock::sqlite {

// Runs `body`, which returns absl::Status, and turns exceptions into one.
template <typename Body>
absl::Status Guarded(const Body& body) noexcept {
  try {
    return body();
  } catch (const SQLite::Exception& error) {
    return StatusOf(error.getExtendedErrorCode() > 0 ? error.getExtendedErrorCode() : SQLITE_ERROR,
                    error.what());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

// The same status with "<path>: " before its message.
absl::Status UnderPath(const std::string& path, const absl::Status& status);

// The statement of one SQL text; lives in its connection's cache between uses.
struct Statement::Impl {
  Impl(Connection::Impl& home, std::string_view sql);

  // The error of the last call on this statement, as SQLite tells it.
  absl::Status LastError() const;

  Connection::Impl& connection;
  SQLite::Statement statement;
  absl::Status bind_error;  // The first binding mistake since the last reset.
  std::uint64_t last_used = 0;
};

struct Connection::Impl {
  explicit Impl(OpenOptions given);

  // Settings of every connection; for writing ones also WAL, which writes to a new file.
  absl::Status Configure();
  // Takes a statement back, reset; keeps it unless the cache has one of the same text.
  void Recycle(std::unique_ptr<Statement::Impl> statement);

  const OpenOptions options;
  SQLite::Database database;
  std::uint64_t uses = 0;
  std::map<std::string, std::unique_ptr<Statement::Impl>, std::less<>> idle;
};

}  // namespace penstock::sqlite
