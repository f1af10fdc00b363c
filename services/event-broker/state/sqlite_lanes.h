// What the parts of SqliteStateStore share: cursors and rows of lanes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sqlite/connection.h"
#include "services/event-broker/ports/revision_store.h"

namespace penstock::broker {

inline std::int64_t ToColumn(Sequence sequence) { return static_cast<std::int64_t>(sequence); }
inline Sequence ToSequence(std::int64_t column) { return static_cast<Sequence>(column); }

// Acknowledged positions as little-endian 64-bit numbers.
std::string PackSequences(const std::vector<Sequence>& sequences);
std::vector<Sequence> UnpackSequences(std::string_view bytes);

// The columns of `retry_rows` after `lane`, and a row read from them, `first` being the first.
inline constexpr char kRowColumns[] =
    "sequence, kind, dead_reason, member, append_time, ordering_key, bytes, attempts_made, "
    "attempts_sent, lost, rejected, due, delay, age_from, redrives, attempts";
absl::StatusOr<RetryRow> ReadRow(const sqlite::Statement& row, int first);

// Lanes of replays of `uid` lie between these, the second one excluded.
inline std::string FirstReplayLane(const std::string& uid) { return uid + "."; }
inline std::string AfterReplayLanes(const std::string& uid) { return uid + "/"; }
// Null when the lane has no cursor.
absl::StatusOr<std::shared_ptr<const SavedLane>> LoadLane(sqlite::Connection& connection,
                                                          const std::string& lane);
// Puts the lane of a subscription that ended aside. Without a cursor, everything up to
// `matched_through` is done.
absl::Status EndLane(sqlite::Connection& connection, const std::string& lane,
                     Sequence matched_through);
// Makes what was put aside, and the dead letters, those of `to`. NOT_FOUND without a cursor.
absl::Status AdoptLane(sqlite::Connection& connection, const std::string& from,
                       const std::string& to);
// Takes AdoptLane back.
absl::Status ReturnLane(sqlite::Connection& connection, const std::string& from,
                        const std::string& to);

}  // namespace penstock::broker
