// Timers that fire when a test says so.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

class FakeTimers final : public Timers {
 public:
  std::shared_ptr<Handle> RunAfter(Microseconds delay, std::function<void()> task) override {
    auto timer = std::make_shared<Timer>(delay, std::move(task));
    const std::lock_guard lock(mutex_);
    timers_.push_back(timer);
    return timer;
  }

  // Runs all tasks that were not cancelled, whatever their delay.
  void FireAll() {
    std::vector<std::shared_ptr<Timer>> due;
    {
      const std::lock_guard lock(mutex_);
      due.swap(timers_);
    }
    for (const auto& timer : due) timer->Fire();
  }

  // The delays of those that wait.
  std::vector<Microseconds> delays() const {
    const std::lock_guard lock(mutex_);
    std::vector<Microseconds> delays;
    for (const auto& timer : timers_) {
      if (timer->IsWaiting()) delays.push_back(timer->delay);
    }
    return delays;
  }

 private:
  struct Timer final : Handle {
    Timer(Microseconds after, std::function<void()> what) : delay(after), task(std::move(what)) {}
    void Cancel() override {
      const std::lock_guard lock(mutex);
      task = nullptr;
    }
    bool IsWaiting() {
      const std::lock_guard lock(mutex);
      return task != nullptr;
    }
    void Fire() {
      std::function<void()> run;
      {
        const std::lock_guard lock(mutex);
        run = std::exchange(task, nullptr);
      }
      if (run) run();
    }
    const Microseconds delay;
    std::mutex mutex;
    std::function<void()> task;
  };

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Timer>> timers_;
};

}  // namespace penstock::executor
