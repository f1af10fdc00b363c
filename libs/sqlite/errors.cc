#include "libs/sqlite/errors.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <string>

#include "libs/base/status.h"

namespace penstock::sqlite {

absl::Status StatusOf(int extended_code, std::string_view message) {
  const std::string text = fmt::format("database: {} (SQLite {})", message, extended_code);
  switch (extended_code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return absl::OkStatus();
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return absl::UnavailableError(text);
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN: return WithReason(absl::UnavailableError(text), kReasonStorage);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return absl::DataLossError(text);
    case SQLITE_CONSTRAINT:
      if (extended_code == SQLITE_CONSTRAINT_UNIQUE ||
          extended_code == SQLITE_CONSTRAINT_PRIMARYKEY ||
          extended_code == SQLITE_CONSTRAINT_ROWID) {
        return absl::AlreadyExistsError(text);
      }
      return absl::FailedPreconditionError(text);
    case SQLITE_NOMEM: return absl::ResourceExhaustedError(text);
    case SQLITE_INTERRUPT: return absl::CancelledError(text);
    default: return absl::InternalError(text);
  }
}

}  // namespace penstock::sqlite
