// What Commit needs of the dead letters in the state file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sqlite/connection.h"
#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/dead_letter_store.h"

namespace penstock::broker {

// Writes dead letters, each in the place of an earlier one of the same delivery. Of that one the
// event stays, which may have been edited, unless it has none.
absl::Status WriteDeadLetters(sqlite::Connection& connection,
                              const std::vector<StoredDeadLetter>& letters);
// Gives how many there were.
absl::StatusOr<std::int64_t> RemoveDeadLetters(sqlite::Connection& connection,
                                               const std::vector<DeliveryKey>& keys);

// What is kept, by lane.
absl::StatusOr<std::map<std::string, SavedDeliveryState::DeadCount>> CountDeadLetters(
    sqlite::Connection& connection);
// What is kept of a subscription and its replays; the keys are those of its own lane.
absl::StatusOr<SavedDeliveryState::DeadCount> CountDeadLettersOf(sqlite::Connection& connection,
                                                                 const std::string& uid);

// An event type pattern as SQLite's GLOB takes it: only `*` stands for anything.
std::string GlobOf(std::string_view pattern);

}  // namespace penstock::broker
