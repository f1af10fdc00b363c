// What Commit needs of the dead letters in the state file.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/sqlite/connection.h"
#include "services/event-broker/ports/dead_letter_store.h"

namespace penstock::broker {

// Writes dead letters, each in the place of an earlier one of the same delivery. Of that one the
// event stays, which may have been edited, unless it has none.
absl::Status WriteDeadLetters(sqlite::Connection& connection,
                              const std::vector<StoredDeadLetter>& letters);
// Gives how many there were.
absl::StatusOr<std::int64_t> RemoveDeadLetters(sqlite::Connection& connection,
                                               const std::vector<DeliveryKey>& keys);

// An event type pattern as SQLite's GLOB takes it: only `*` stands for anything.
std::string GlobOf(std::string_view pattern);

}  // namespace penstock::broker
