// Executors as a test wants them.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/ports/invoker.h"

namespace penstock::broker {

// Answers each order at once with what `answer` makes of it, or keeps it until Finish. Thread-safe.
class FakeInvoker final : public Invoker {
 public:
  using Answer = std::function<DeliveryOutcome(const InvocationOrder&)>;

  void Start(Listener listener) override {
    std::size_t slots = 0;
    {
      const std::lock_guard lock(mutex_);
      listener_ = std::move(listener);
      slots = slots_;
    }
    listener_.on_capacity(slots);
    listener_.on_settled();
  }
  void Send(std::vector<InvocationOrder> orders) override {
    std::vector<DeliveryResult> results;
    {
      const std::lock_guard lock(mutex_);
      for (const InvocationOrder& order : orders) {
        orders_.push_back(order);
        if (answer_) results.push_back(ResultOf(order, answer_(order)));
      }
      in_flight_ += orders.size() - results.size();
      in_flight_max_ = std::max(in_flight_max_, in_flight_);
    }
    if (!results.empty()) listener_.on_results(std::move(results));
  }
  void Cancel(const DeliveryKey& key, int attempt) override {
    const std::lock_guard lock(mutex_);
    cancels_.emplace_back(key, attempt);
  }
  void Stop() override {}

  // Null keeps orders unanswered.
  void set_answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  void set_slots_at_start(std::size_t slots) { slots_ = slots; }
  void SetSlots(std::size_t slots) { listener_.on_capacity(slots); }
  void Finish(const InvocationOrder& order, DeliveryOutcome outcome) {
    {
      const std::lock_guard lock(mutex_);
      --in_flight_;
    }
    listener_.on_results({ResultOf(order, outcome)});
  }

  void FinishWithReply(const InvocationOrder& order, const std::string& reply) {
    FinishWithReplies({order}, reply);
  }
  // All in one report, each with `reply`.
  void FinishWithReplies(const std::vector<InvocationOrder>& orders, const std::string& reply) {
    {
      const std::lock_guard lock(mutex_);
      in_flight_ -= orders.size();
    }
    std::vector<DeliveryResult> results;
    for (const InvocationOrder& order : orders) {
      results.push_back(ResultOf(order, DeliveryOutcome::kSucceeded));
      results.back().reply = reply;
    }
    listener_.on_results(std::move(results));
  }

  std::vector<InvocationOrder> orders() const {
    const std::lock_guard lock(mutex_);
    return orders_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return orders_.size();
  }
  std::size_t in_flight_max() const {
    const std::lock_guard lock(mutex_);
    return in_flight_max_;
  }
  std::vector<std::pair<DeliveryKey, int>> cancels() const {
    const std::lock_guard lock(mutex_);
    return cancels_;
  }

 private:
  static DeliveryResult ResultOf(const InvocationOrder& order, DeliveryOutcome outcome) {
    DeliveryResult result;
    result.key = order.key;
    result.attempt = order.attempt;
    result.outcome = outcome;
    result.error = {"FunctionError", "Boom", "it broke"};
    return result;
  }

  mutable std::mutex mutex_;
  Listener listener_;
  Answer answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kSucceeded; };
  std::size_t slots_ = 10'000;
  std::vector<InvocationOrder> orders_;
  std::vector<std::pair<DeliveryKey, int>> cancels_;
  std::size_t in_flight_ = 0;
  std::size_t in_flight_max_ = 0;
};

}  // namespace penstock::broker
