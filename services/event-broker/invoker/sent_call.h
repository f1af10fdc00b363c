// What the broker keeps of a call while an executor has it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

using SteadyTime = std::chrono::steady_clock::time_point;

struct SentCall {
  DeliveryKey key;
  int attempt = 0;
  std::int64_t epoch = 0;
  std::vector<DeliveryKey> further;  // Of a batch: the events behind the first.
  bool ordered = false;
  SteadyTime ends_by{};  // The executor has ended it by then, if it lives.
};

// The result of an order or call that no executor answered, for each of its events.
std::vector<DeliveryResult> ResultsWithoutAnswer(const SentCall& call, DeliveryOutcome outcome,
                                                 std::string_view type, std::string_view message);

// What would be kept of `order` if it were sent now. `call_time_max` is for one without a timeout.
SentCall ToSentCall(const InvocationOrder& order, std::chrono::milliseconds call_time_max);

}  // namespace penstock::broker
