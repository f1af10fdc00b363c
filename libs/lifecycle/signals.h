// Signals as plain waiting: they are blocked in every thread and read by one.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace penstock::lifecycle {

// Blocks SIGTERM, SIGINT and SIGHUP and ignores SIGPIPE. To be called first in main, before any
// thread exists, so that every thread inherits it. A child process must unblock them before its
// exec.
void BlockSignals();

// Waits until SIGTERM, SIGINT or SIGHUP arrives and returns its number; SIGHUP is given to
// `on_hangup` instead when that is set, and the wait goes on. For small programs; services use
// RunUntilSignal. BlockSignals() must have been called.
int WaitForStop(const std::function<void()>& on_hangup = {});

// A stop that the program itself asks for, for example because its store failed. Thread-safe; the
// first request counts.
class StopRequest {
 public:
  // Makes RunUntilSignal stop the application and return `exit_code`.
  void Request(std::string_view reason, int exit_code);

 private:
  friend class SignalWatcher;
  std::mutex mutex_;
  bool requested_ = false;
  std::string reason_;
  int exit_code_ = 0;
  std::function<void()> notify_;  // Set while a watcher runs.
};

// Reads the blocked signals on a thread of its own from construction to destruction. The first stop
// signal is remembered for Wait(); the second ends the process at once.
class SignalWatcher {
 public:
  struct Stop {
    int signal = 0;  // 0: a StopRequest.
    std::string reason;
    int exit_code = 0;
  };

  // `request` may be null; else it must outlive this object.
  SignalWatcher(std::function<void()> on_hangup, StopRequest* request);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

  // Blocks until there is a reason to stop.
  Stop Wait();

 private:
  void Run();
  void OnSignal(int signal);
  void SetStop(Stop stop);

  const std::function<void()> on_hangup_;
  StopRequest* const request_;
  int signal_fd_ = -1;
  int wake_fd_ = -1;
  // Stop signals so far; of the signal thread.
  int stop_signals_ = 0;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool has_stop_ = false;
  Stop stop_;
  std::thread thread_;
};

}  // namespace penstock::lifecycle
