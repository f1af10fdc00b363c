// Where calls wait that nobody waits for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// The broker's log, from which invocations come back as deliveries. Thread-safe; nothing blocks;
// `done` runs once, on any thread.
class InvocationQueue {
 public:
  // A function that is to be called, and how often that is tried.
  struct Lane {
    std::string function;  // Its id.
    AsyncPolicy policy;
  };
  struct Order {
    std::string space;
    std::string event;        // A serialized CloudEvent of type `penstock.invocation.requested`.
    std::vector<Lane> lanes;  // The function, and those that its result may go to.
    bool has_callback = false;
  };
  struct Queued {
    std::string delivery_id;
    bool is_duplicate = false;
  };
  enum class Place { kWaiting, kInFlight, kDone, kDead };
  struct Whereabouts {
    Place place = Place::kWaiting;
    std::string function;  // Its name.
    int attempts = 0;
    std::optional<FunctionError> last_error;
  };
  struct Cancelled {
    std::string function;    // Its name.
    bool in_flight = false;  // An executor has it: the broker tells it.
    int attempts = 0;
  };

  virtual ~InvocationQueue() = default;

  // Answers once the invocation is durable. One with the event's source and id that is there
  // already is not queued again.
  virtual void Enqueue(Order order, std::function<void(absl::StatusOr<Queued>)> done) = 0;
  // NOT_FOUND when the broker does not know it (any more).
  virtual void Find(const std::string& space, const std::string& delivery_id,
                    std::function<void(absl::StatusOr<Whereabouts>)> done) = 0;
  // FAILED_PRECONDITION when it is over.
  virtual void Cancel(const std::string& space, const std::string& delivery_id,
                      std::function<void(absl::StatusOr<Cancelled>)> done) = 0;
};

}  // namespace penstock::executor
