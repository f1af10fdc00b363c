// What all requests look at and a reload exchanges, such as a table of routes.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "libs/http/event_loops.h"

namespace penstock::http {

// One immutable value, of which each loop has a pointer of its own: looking at it takes no lock,
// and a request that keeps it counts in a counter of its loop alone. A value goes when its last
// user does, on that user's thread. `loops` must outlive this object.
template <typename T>
class PerLoop {
 public:
  using Pointer = std::shared_ptr<const T>;

  PerLoop(EventLoops& loops, const Pointer& first)
      : loops_(loops), slots_(static_cast<std::size_t>(loops.size())) {
    for (Slot& slot : slots_) slot.value = WithOwnCount(first);
  }

  // The value of the calling loop. Only on a loop. The reference is good until the handler that
  // asked for it returns; a copy for as long as it is wanted.
  const Pointer& Get() const { return Get(loops_.CurrentLoop()); }
  // The same on loop `loop`, whose index the caller knows.
  const Pointer& Get(int loop) const { return slots_[static_cast<std::size_t>(loop)].value; }

  // Gives `next` to every loop, and returns when all have it: what begins from then on goes by it,
  // what began before may hold what it began with. One caller at a time, not from a loop.
  void Exchange(const Pointer& next) {
    for (int loop = 0; loop < loops_.size(); ++loop) {
      // What the loop had before is let go here, not on the loop.
      Pointer value = WithOwnCount(next);
      loops_.RunAndWait(loop, [&value, &slot = slots_[static_cast<std::size_t>(loop)]] {
        slot.value.swap(value);
      });
    }
  }

 private:
  struct alignas(64) Slot {
    Pointer value;
  };

  // The same object behind a count of its own.
  static Pointer WithOwnCount(const Pointer& value) {
    if (value == nullptr) return nullptr;
    return {std::make_shared<const Pointer>(value), value.get()};
  }

  EventLoops& loops_;
  std::vector<Slot> slots_;
};

}  // namespace penstock::http
