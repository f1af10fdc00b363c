// The threads that run all socket work of a process: one thread and one queue of handlers a loop.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "libs/http/cancelable.h"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace penstock::http {

struct EventLoopsOptions {
  // Number of loops, each with one thread of its own; at least 1.
  int threads = 1;
  // Threads are named "<name>-<index>", cut to the 15 bytes that the kernel keeps.
  std::string name = "loop";
};

// N event loops that share nothing. A handler runs on its loop's thread, inside a CallbackScope,
// and must not block or throw. Thread-safe. Servers and clients on these loops are stopped before
// the loops.
class EventLoops {
 public:
  using Task = absl::AnyInvocable<void()>;
  using Options = EventLoopsOptions;

  explicit EventLoops(Options options = {});
  // Stops.
  ~EventLoops();
  EventLoops(const EventLoops&) = delete;
  EventLoops& operator=(const EventLoops&) = delete;

  int size() const;

  // The index of the loop whose thread this is, or -1 on any other thread.
  int CurrentLoop() const;

  // The caller's own loop when it runs on one, else the loops in turn.
  int PickLoop();

  // Runs `task` on loop `loop` (0 <= loop < size()) soon, never inside this call. Tasks of one
  // caller run in order. A task that is still queued when the loops stop is destroyed without being
  // run.
  void Post(int loop, Task task);

  // Runs `task` on the loop and waits until it ran; on the loop's own thread, or after Stop(), runs
  // it at once.
  void RunAndWait(int loop, Task task);

  // Runs `task` on the loop after `delay`. Once Cancel() returned on the loop's thread the task
  // never runs; called from elsewhere, Cancel() may come too late. The task is destroyed on the
  // loop.
  std::shared_ptr<Cancelable> RunAfter(int loop, std::chrono::microseconds delay, Task task);

  // The longest time by which any loop ran its heartbeat late since the last call: what a handler
  // waited at worst, to a precision of 50 ms. Resets the maximum.
  std::chrono::microseconds MaxLag();

  // Stops all loops and joins their threads; what is queued is dropped. Idempotent. Not from a
  // loop.
  void Stop();

 private:
  friend boost::asio::io_context& IoContextOf(EventLoops& loops, int index);

  struct Loop;
  struct State;
  class TimerHandle;
  // Shared with timer handles only, which hold it weakly.
  std::shared_ptr<State> state_;
};

}  // namespace penstock::http
