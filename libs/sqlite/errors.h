// One table from SQLite's result codes to absl::Status.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace penstock::sqlite {

// Reason (google.rpc.ErrorInfo) of errors that come from the disk or the file, not from the
// request.
inline constexpr char kReasonStorage[] = "STORAGE";

// The status for an extended result code. `message` is SQLite's text.
//   BUSY, LOCKED                      UNAVAILABLE
//   FULL, IOERR, READONLY, CANTOPEN   UNAVAILABLE, reason STORAGE
//   CORRUPT, NOTADB                   DATA_LOSS
//   CONSTRAINT on a key               ALREADY_EXISTS
//   other CONSTRAINT                  FAILED_PRECONDITION
//   NOMEM                             RESOURCE_EXHAUSTED
//   INTERRUPT                         CANCELLED
//   anything else                     INTERNAL
absl::Status StatusOf(int extended_code, std::string_view message);

}  // namespace penstock::sqlite
