// Calls whose stream was lost, and of which nobody knows yet whether they still run.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/event-broker/invoker/sent_call.h"

namespace penstock::broker {

// Holds their results back until an executor has confirmed that they ended, or they must have.
// Not thread-safe.
class DoubtfulCalls {
 public:
  // Who had the calls: the address, and the instance that answered there ("" when it never said).
  struct Executor {
    std::string address;
    std::string instance;
  };

  // The call is over at `over_at` whoever has it.
  void Add(const Executor& executor, SteadyTime over_at, std::vector<DeliveryResult> results);

  // The results of all calls that `executor`, by address or by instance, had before.
  std::vector<DeliveryResult> TakeConfirmed(const Executor& executor);
  // The results of calls that are over by `now`.
  std::vector<DeliveryResult> TakeOver(SteadyTime now);
  std::vector<DeliveryResult> TakeAll();

  // When TakeOver has something next.
  std::optional<SteadyTime> next() const;
  // Calls, not results.
  std::size_t size() const { return calls_.size(); }

 private:
  struct Call {
    Executor executor;
    std::vector<DeliveryResult> results;
  };
  // By the time at which they are over.
  std::multimap<SteadyTime, Call> calls_;
};

}  // namespace penstock::broker
