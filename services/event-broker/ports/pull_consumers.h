// The consumers of pull subscriptions, as the faces that serve them see them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/event-broker/domain/event_record.h"

namespace penstock::broker {

inline constexpr std::int64_t kPullCreditMax = 1024;   // Of one consumer.
inline constexpr std::size_t kPullConsumersMax = 256;  // Of one subscription.

// One event that goes out to a consumer.
struct PulledEvent {
  std::string delivery_id;
  int attempt = 1;
  Sequence sequence = kNoSequence;
  WallTime append_time{};
  SharedBytes event;  // A serialized CloudEvent.
  bool replay = false;
};

// What a consumer says about a delivery that failed.
struct PullRejection {
  std::string delivery_id;
  Microseconds delay{0};  // Before the next attempt, at least.
  std::string reason;
};

// A consumer that has joined. Thread-safe; never blocks; must not outlive what it joined. Ids of
// deliveries that are not out with it are counted and ignored.
class PullConsumer {
 public:
  // Leaves: what is out with it is delivered again at once, what it has not taken goes to others.
  virtual ~PullConsumer() = default;

  // It takes `events` more. INVALID_ARGUMENT for a negative number, RESOURCE_EXHAUSTED when it
  // would have more than kPullCreditMax; then nothing changes.
  virtual absl::Status AddCredit(std::int64_t events) = 0;
  // Takes what waits for it, in the order of delivery: at most `events_max`, and `bytes_max` unless
  // one alone is larger. The acknowledgement timeout of an event runs since it was given to this
  // consumer.
  virtual std::vector<PulledEvent> Take(std::size_t events_max, std::size_t bytes_max) = 0;
  virtual void Acknowledge(const std::vector<std::string>& delivery_ids) = 0;
  virtual void Reject(const std::vector<PullRejection>& rejections) = 0;
  // Their timeouts begin anew.
  virtual void Extend(const std::vector<std::string>& delivery_ids) = 0;
  // It takes nothing more. What it has taken stays out until it is acknowledged through
  // PullConsumers or times out; leaving then does nothing.
  virtual void Detach() = 0;
};

// Where consumers join, and where deliveries are acknowledged without one. Thread-safe; never
// blocks.
class PullConsumers {
 public:
  struct ConsumerOptions {
    // Each delivery that ends gives its credit back, and at most 8 MiB are out at a time.
    bool renew_credit = false;
    // Ends it with DEADLINE_EXCEEDED when nothing came for so long; zero: never.
    Microseconds wait{0};
  };
  // Run on a thread of the implementation, one at a time, and must not block. May come late, after
  // the consumer has left: hold what they use by weak_ptr, and the consumer by nothing else.
  struct ConsumerHandlers {
    // There may be something to take.
    std::function<void()> on_ready;
    // The end, at most once: NOT_FOUND when the subscription was deleted, UNAVAILABLE when the
    // service stops. Nothing can be taken any more.
    std::function<void(const absl::Status&)> on_end;
  };

  virtual ~PullConsumers() = default;

  // `subscription` is a name. NOT_FOUND, FAILED_PRECONDITION when it is not pulled,
  // RESOURCE_EXHAUSTED beyond kPullConsumersMax, UNAVAILABLE while the service stops.
  virtual absl::StatusOr<std::shared_ptr<PullConsumer>> Join(const std::string& subscription,
                                                             const ConsumerOptions& options,
                                                             ConsumerHandlers handlers) = 0;
  // For deliveries of the subscription, whichever consumer has them. Gives the ids that are out
  // with none. NOT_FOUND when there is no such subscription.
  virtual absl::StatusOr<std::vector<std::string>> Acknowledge(
      const std::string& subscription, const std::vector<std::string>& delivery_ids) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Reject(
      const std::string& subscription, const std::vector<PullRejection>& rejections) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Extend(
      const std::string& subscription, const std::vector<std::string>& delivery_ids) = 0;
};

}  // namespace penstock::broker
