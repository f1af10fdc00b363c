// Dead letters, each with its own copy of the event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"
#include "services/event-broker/ports/store_results.h"

namespace penstock::broker {

// A dead letter with its own copy of the event.
struct StoredDeadLetter {
  DeadDelivery delivery;
  std::string space;
  std::string subscription;  // Its id.
  std::string function;      // Its id.
  std::string
      event;  // The record's body: a serialized CloudEvent. Empty when it could not be read.
  // Of the stored event, also in a copy without it. Set by reads; writes go by `event`.
  std::uint32_t bytes = 0;
  std::string event_id;
  std::string event_type;
  std::string original_event;  // As it was before it was edited; empty when it never was.
  int edits = 0;
};

struct DeadLetterQuery {
  std::string space;
  std::optional<std::string> subscription;  // Its id.
  std::optional<DeadReason> reason;
  std::optional<std::string> event_id;
  std::optional<std::string> event_type;  // A pattern with up to three `*`.
  std::optional<WallTime> from_time;      // Became dead letters at or after.
  std::optional<WallTime> to_time;        // Became dead letters before.
  std::optional<std::string> error_contains;
  std::vector<std::string> ids;  // Delivery ids; empty for all.
  std::string after;             // Position from an earlier page; empty from the start.
  std::size_t limit = 50;
};

struct DeadLetterPage {
  std::vector<StoredDeadLetter> letters;  // Oldest first.
  std::string next;                       // Position to go on from; empty at the end.
};

// See StoreDone for threads.
class DeadLetterStore {
 public:
  virtual ~DeadLetterStore() = default;

  // Dead letters that are not being redriven now.
  virtual void ListDeadLetters(DeadLetterQuery query, StoreResult<DeadLetterPage> done) = 0;
  // Whether or not it is being redriven.
  virtual void GetDeadLetter(const DeliveryKey& key, StoreResult<StoredDeadLetter> done) = 0;
  virtual void PurgeDeadLetters(std::vector<DeliveryKey> keys, StoreResult<std::int64_t> done) = 0;
  // Replaces the event of a dead letter; `original_event` is set by the first edit. ABORTED when
  // `edits` is not the stored number of edits any more; NOT_FOUND when it is gone or being
  // redriven.
  virtual void EditDeadLetter(const DeliveryKey& key, int edits, std::string event,
                              std::string event_id, std::string event_type, StoreDone done) = 0;
  // How many dead letters a subscription has.
  virtual void CountDeadLetters(const std::string& uid, StoreResult<std::int64_t> done) = 0;
};

}  // namespace penstock::broker
