// One thread that waits for descriptors and timers. It keeps Asio out of every header.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/base/time.h"
#include "services/function-executor/drivers/process/unique_fd.h"

namespace penstock::executor {

// Runs functions on its thread, in the order in which they were posted. They must not throw or
// block. Post is thread-safe; timers and descriptors belong to the loop's thread.
class EventLoop {
 public:
  // Starts the thread, which ignores SIGPIPE: workers close their pipes when they like.
  // `name` is at most 15 bytes.
  explicit EventLoop(const std::string& name);
  // Stops as Stop() does.
  ~EventLoop();

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs `function` on the loop's thread, never before Post returns to that thread.
  // After Stop it is dropped.
  void Post(std::function<void()> function);

  // Ends the thread after the function that runs now. Not from the loop's thread. Idempotent.
  void Stop();

  // Runs one function after a delay. The loop must outlive it.
  class Timer {
   public:
    explicit Timer(EventLoop& loop);
    // Cancels.
    ~Timer();
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) = delete;

    // Forgets what was set before, even when it is due already.
    void Set(Microseconds delay, std::function<void()> function);
    void Cancel();

   private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
  };

  // A descriptor to wait for. Closes it when it goes. The loop must outlive it.
  class Descriptor {
   public:
    Descriptor(EventLoop& loop, UniqueFd fd);
    ~Descriptor();
    Descriptor(Descriptor&&) noexcept;
    Descriptor& operator=(Descriptor&&) = delete;

    // The number for system calls, or -1 once closed.
    int fd() const;
    // Runs `function` once when the descriptor is readable (or at its end), not when it is closed
    // before.
    void WhenReadable(std::function<void()> function);
    void WhenWritable(std::function<void()> function);
    void Close();

   private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
  };

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::executor
