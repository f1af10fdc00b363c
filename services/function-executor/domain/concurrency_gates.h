// Holds each function to the number of calls that it wants at the same time.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace penstock::executor {

// Slots of functions, by uid, with a bounded queue each. Thread-safe.
class ConcurrencyGates {
 public:
  // Who waits for a slot.
  class Waiter {
   public:
    virtual ~Waiter() = default;
    // The waiter has a slot now. Called once, without a lock, on the thread that gave one back.
    virtual void OnAdmitted() = 0;
  };
  enum class Entry {
    kAdmitted,  // The caller has a slot.
    kQueued,    // OnAdmitted will follow, unless Leave comes first.
    kFull,
  };

  explicit ConcurrencyGates(std::size_t queue_max) : queue_max_(queue_max) {}

  // Asks for one of `limit` (above 0) slots of `uid`. The last limit said counts.
  Entry Enter(const std::string& uid, int limit, const std::shared_ptr<Waiter>& waiter);
  // Takes a waiter out of its queue; false when it is not there (any more).
  bool Leave(const std::string& uid, const std::shared_ptr<Waiter>& waiter);
  // Gives a slot back.
  void Release(const std::string& uid);

  std::size_t queued() const;

 private:
  struct Gate {
    int limit = 0;
    int running = 0;
    bool admitting = false;  // A thread is in the loop of Release.
    std::deque<std::shared_ptr<Waiter>> queue;
  };

  const std::size_t queue_max_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Gate> gates_;
  std::size_t queued_ = 0;
};

}  // namespace penstock::executor
