#include "libs/lifecycle/app.h"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "libs/log/log.h"

namespace penstock::lifecycle {
namespace {

// Ends the process when it is not destroyed in time.
class Watchdog {
 public:
  explicit Watchdog(std::chrono::milliseconds time) : thread_([this, time] { Run(time); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  void Run(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, time, [this] { return done_; })) return;
    log::Error("the stop hangs, so the process ends at once", {{"waited_ms", time.count()}});
    log::Flush();
    _exit(1);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

// Passes hangups on between the start and the stop; one that comes during the start waits for its
// end.
class Hangups {
 public:
  explicit Hangups(std::function<void()> hook) : hook_(std::move(hook)) {}

  std::function<void()> hook() {
    if (!hook_) return {};
    return [this] { Arrived(); };
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    if (std::exchange(is_waiting_, false)) hook_();
  }
  // After it returns, the hook is neither running nor called again.
  void Close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }

 private:
  void Arrived() {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return;
    if (is_open_) {
      hook_();
    } else {
      is_waiting_ = true;
    }
  }

  const std::function<void()> hook_;
  std::mutex mutex_;
  bool is_open_ = false;
  bool is_closed_ = false;
  bool is_waiting_ = false;
};

absl::Status StopWithin(App& app, const RunOptions& options) {
  const Watchdog watchdog(options.stop_deadline + options.stop_grace);
  return app.Stop(options.stop_deadline);
}

}  // namespace

int RunUntilSignal(App& app, RunOptions options) {
  Hangups hangups(options.on_hangup);
  SignalWatcher watcher(hangups.hook(), options.stop_request);
  if (const absl::Status started = app.Start(); !started.ok()) {
    log::Error("start failed", {{"error", started}});
    if (options.readiness != nullptr) options.readiness->SetDraining();
    if (const absl::Status stopped = StopWithin(app, options); !stopped.ok()) {
      log::Error("stop failed", {{"error", stopped}});
    }
    log::Flush();
    return 1;
  }
  log::Info("started", {{"pid", getpid()}});
  hangups.Open();

  const SignalWatcher::Stop stop = watcher.Wait();
  hangups.Close();
  log::Info("stopping", {{"reason", stop.reason}});
  if (options.readiness != nullptr) options.readiness->SetDraining();
  if (options.stop_delay.count() > 0) std::this_thread::sleep_for(options.stop_delay);
  const absl::Status stopped = StopWithin(app, options);
  if (!stopped.ok()) log::Error("stop failed", {{"error", stopped}});
  const int exit_code = stop.exit_code == 0 && !stopped.ok() ? 1 : stop.exit_code;
  log::Info("stopped", {{"exit_code", exit_code}});
  log::Flush();
  return exit_code;
}

}  // namespace penstock::lifecycle
