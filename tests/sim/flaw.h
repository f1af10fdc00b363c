// Rules that can be taken out, one at a time, to see that the simulation notices.
#pragma once

#include <array>
#include <string_view>

namespace penstock::broker::sim {

enum class Flaw {
  kNone,
  kAckBeforeSync,       // The disk's syncs do nothing.
  kEarlyDuplicate,      // DUPLICATE is answered before the original is durable.
  kCursorsDropped,      // `matched_through` is saved without the dirty cursors.
  kFloorBeforeRow,      // The floor is durable before the rows that let it pass.
  kTwoTransactions,     // Rows and cursors are two transactions, in any order.
  kKeysLost,            // Two in flight for a key: the engine sees no keys.
  kUnknownAtOnce,       // The next of a key is sent after a call that is in doubt.
  kRetriesFirst,        // Retries have no lane of their own.
  kDropOnOverflow,      // What a full window cannot take is dropped.
  kStaleEpochAccepted,  // Executors run calls of a broker that is no more.
  kNewestRevision,      // The newest revision is used for old sequences.
  kCreditByName,        // Results of a deleted subscription go to the one recreated in its place.
  kAttemptsWhileOpen,   // An open breaker does not hold deliveries back.
  kWallTimers,          // Timers run in wall time.
};

struct NamedFlaw {
  Flaw flaw;
  std::string_view name;
};
inline constexpr std::array<NamedFlaw, 14> kFlaws = {{
    {Flaw::kAckBeforeSync, "ack-before-sync"},
    {Flaw::kEarlyDuplicate, "early-duplicate"},
    {Flaw::kCursorsDropped, "cursors-dropped"},
    {Flaw::kFloorBeforeRow, "floor-before-row"},
    {Flaw::kTwoTransactions, "two-transactions"},
    {Flaw::kKeysLost, "keys-lost"},
    {Flaw::kUnknownAtOnce, "unknown-at-once"},
    {Flaw::kRetriesFirst, "retries-first"},
    {Flaw::kDropOnOverflow, "drop-on-overflow"},
    {Flaw::kStaleEpochAccepted, "stale-epoch-accepted"},
    {Flaw::kNewestRevision, "newest-revision"},
    {Flaw::kCreditByName, "credit-by-name"},
    {Flaw::kAttemptsWhileOpen, "attempts-while-open"},
    {Flaw::kWallTimers, "wall-timers"},
}};

}  // namespace penstock::broker::sim
