#include "libs/lifecycle/signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fmt/format.h"
#include "libs/log/log.h"

namespace penstock::lifecycle {
namespace {

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

std::string SignalName(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

}  // namespace

void BlockSignals() {
  const sigset_t set = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int WaitForStop(const std::function<void()>& on_hangup) {
  const sigset_t set = HandledSignals();
  for (;;) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    if (signal == SIGHUP && on_hangup) {
      on_hangup();
      continue;
    }
    return signal;
  }
}

void StopRequest::Request(std::string_view reason, int exit_code) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(requested_, true)) return;
  reason_ = std::string(reason);
  exit_code_ = exit_code;
  if (notify_) notify_();
}

SignalWatcher::SignalWatcher(std::function<void()> on_hangup, StopRequest* request)
    : on_hangup_(std::move(on_hangup)), request_(request) {
  const sigset_t set = HandledSignals();
  signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_fd_ < 0 || wake_fd_ < 0) {
    // Only a process that is out of descriptors at its start gets here.
    log::Error("cannot watch signals", {{"error", std::strerror(errno)}});
    std::abort();
  }
  if (request_ != nullptr) {
    const std::lock_guard lock(request_->mutex_);
    request_->notify_ = [this] {
      SetStop({.signal = 0, .reason = request_->reason_, .exit_code = request_->exit_code_});
    };
    if (request_->requested_) request_->notify_();
  }
  thread_ = std::thread([this] { Run(); });
}

SignalWatcher::~SignalWatcher() {
  if (request_ != nullptr) {
    const std::lock_guard lock(request_->mutex_);
    request_->notify_ = nullptr;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
  thread_.join();
  close(signal_fd_);
  close(wake_fd_);
}

SignalWatcher::Stop SignalWatcher::Wait() {
  std::unique_lock lock(mutex_);
  stopped_.wait(lock, [this] { return has_stop_; });
  return stop_;
}

void SignalWatcher::Run() {
  for (;;) {
    pollfd fds[2] = {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    // Signals first: one that came before the end of the watch counts.
    signalfd_siginfo info{};
    while (read(signal_fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      OnSignal(static_cast<int>(info.ssi_signo));
    }
    if (fds[1].revents != 0) return;
  }
}

void SignalWatcher::OnSignal(int signal) {
  if (signal == SIGHUP && on_hangup_) {
    on_hangup_();
    return;
  }
  if (++stop_signals_ > 1) {
    log::Error("a second signal ends the process at once", {{"signal", SignalName(signal)}});
    log::Flush();
    _exit(128 + signal);
  }
  SetStop({.signal = signal, .reason = SignalName(signal), .exit_code = 0});
}

void SignalWatcher::SetStop(Stop stop) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(has_stop_, true)) return;
  stop_ = std::move(stop);
  stopped_.notify_all();
}

}  // namespace penstock::lifecycle
