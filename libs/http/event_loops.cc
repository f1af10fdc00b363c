#include "libs/http/event_loops.h"

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/callback_guard.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {
namespace {

using std::chrono::microseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kHeartbeat{50};
// What the kernel keeps of a thread's name, without the terminating zero.
constexpr std::size_t kThreadNameMax = 15;

// Which loop of which EventLoops the current thread runs.
thread_local const void* current_owner = nullptr;
thread_local int current_loop = -1;

std::int64_t MicrosOf(SteadyClock::time_point time) {
  return std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
}

}  // namespace

struct EventLoops::Loop {
  // The hint promises that only one thread runs the context; posting from others stays allowed.
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  boost::asio::steady_timer heartbeat{context};
  // When the next heartbeat is due, and by how much the worst was late, in microseconds.
  std::atomic<std::int64_t> next_beat{0};
  std::atomic<std::int64_t> lag_max{0};
  std::thread thread;

  void Beat() {
    heartbeat.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      const auto now = SteadyClock::now();
      const std::int64_t lag = MicrosOf(now) - next_beat.load(std::memory_order_relaxed);
      if (lag > lag_max.load(std::memory_order_relaxed)) lag_max.store(lag);
      heartbeat.expires_at(now + kHeartbeat);
      next_beat.store(MicrosOf(heartbeat.expiry()), std::memory_order_relaxed);
      Beat();
    });
  }
};

struct EventLoops::State {
  std::vector<std::unique_ptr<Loop>> loops;
  std::atomic<unsigned> next_loop{0};
  // Held while stopping, so that a second caller returns only when all threads are joined.
  std::mutex stop_mutex;
  std::atomic<bool> stopped{false};
};

// The timer itself is owned by its pending wait, so that it never outlives the io_context.
class EventLoops::TimerHandle final : public Cancelable {
 public:
  struct Pending {
    Pending(boost::asio::io_context& context, SteadyClock::time_point expiry, Task run)
        : timer(context, expiry), task(std::move(run)) {}
    boost::asio::steady_timer timer;
    Task task;
  };

  TimerHandle(std::weak_ptr<State> state, int loop, std::weak_ptr<Pending> pending)
      : state_(std::move(state)), loop_(loop), pending_(std::move(pending)) {}

  void Cancel() override {
    const std::shared_ptr<State> state = state_.lock();
    if (state == nullptr) return;
    if (current_owner == state.get() && current_loop == loop_) {
      CancelOnLoop(pending_);
      return;
    }
    boost::asio::post(state->loops[loop_]->context,
                      [pending = pending_] { CancelOnLoop(pending); });
  }

 private:
  static void CancelOnLoop(const std::weak_ptr<Pending>& weak) {
    const std::shared_ptr<Pending> pending = weak.lock();
    if (pending == nullptr) return;
    pending->task = nullptr;
    pending->timer.cancel();
  }

  const std::weak_ptr<State> state_;
  const int loop_;
  const std::weak_ptr<Pending> pending_;
};

EventLoops::EventLoops(Options options) : state_(std::make_shared<State>()) {
  for (int i = 0; i < std::max(options.threads, 1); ++i) {
    state_->loops.push_back(std::make_unique<Loop>());
  }
  for (int i = 0; i < size(); ++i) {
    Loop& loop = *state_->loops[i];
    loop.heartbeat.expires_after(kHeartbeat);
    loop.next_beat = MicrosOf(loop.heartbeat.expiry());
    loop.Beat();
    std::string name = fmt::format("{}-{}", options.name, i);
    name.resize(std::min(name.size(), kThreadNameMax));
    loop.thread = std::thread([&loop, name, i, owner = state_.get()] {
      pthread_setname_np(pthread_self(), name.c_str());
      current_owner = owner;
      current_loop = i;
      const CallbackScope scope;
      loop.context.run();
    });
  }
}

EventLoops::~EventLoops() { Stop(); }

int EventLoops::size() const { return static_cast<int>(state_->loops.size()); }

int EventLoops::CurrentLoop() const { return current_owner == state_.get() ? current_loop : -1; }

int EventLoops::PickLoop() {
  if (const int current = CurrentLoop(); current >= 0) return current;
  return static_cast<int>(state_->next_loop.fetch_add(1, std::memory_order_relaxed) %
                          state_->loops.size());
}

void EventLoops::Post(int loop, Task task) {
  boost::asio::post(state_->loops[loop]->context, std::move(task));
}

void EventLoops::RunAndWait(int loop, Task task) {
  if (CurrentLoop() == loop || state_->stopped) {
    task();
    return;
  }
  AssertMayBlock("EventLoops::RunAndWait");
  struct Wait {
    std::mutex mutex;
    std::condition_variable wake;
    Task task;
  };
  auto wait = std::make_shared<Wait>();
  wait->task = std::move(task);
  const auto run = [](Wait& waiting) {
    const std::lock_guard lock(waiting.mutex);
    if (!waiting.task) return;
    waiting.task();
    waiting.task = nullptr;
    waiting.wake.notify_all();
  };
  Post(loop, [wait, run] { run(*wait); });
  std::unique_lock lock(wait->mutex);
  while (wait->task) {
    wait->wake.wait_for(lock, kHeartbeat);
    if (!wait->task || !state_->stopped) continue;
    // The loops stopped under us; their threads are joined, so running it here cannot collide.
    lock.unlock();
    run(*wait);
    lock.lock();
  }
}

std::shared_ptr<Cancelable> EventLoops::RunAfter(int loop, microseconds delay, Task task) {
  boost::asio::io_context& context = state_->loops[loop]->context;
  auto pending =
      std::make_shared<TimerHandle::Pending>(context, SteadyClock::now() + delay, std::move(task));
  auto handle = std::make_shared<TimerHandle>(state_, loop, pending);
  auto start = [pending = std::move(pending)]() mutable {
    if (!pending->task) return;
    boost::asio::steady_timer& timer = pending->timer;
    timer.async_wait([pending = std::move(pending)](const boost::system::error_code&) {
      // A cancelled timer has lost its task, also when it had expired already.
      if (Task run = std::exchange(pending->task, nullptr); run) run();
    });
  };
  if (CurrentLoop() == loop) {
    start();
  } else {
    boost::asio::post(context, std::move(start));
  }
  return handle;
}

microseconds EventLoops::MaxLag() {
  std::int64_t result = 0;
  const std::int64_t now = MicrosOf(SteadyClock::now());
  for (const std::unique_ptr<Loop>& loop : state_->loops) {
    result = std::max(result, loop->lag_max.exchange(0));
    // A loop that is stuck at this moment has not run its heartbeat yet.
    if (!state_->stopped) result = std::max(result, now - loop->next_beat.load());
  }
  return microseconds(result);
}

void EventLoops::Stop() {
  const std::lock_guard lock(state_->stop_mutex);
  if (state_->stopped) return;
  for (const std::unique_ptr<Loop>& loop : state_->loops) loop->context.stop();
  for (const std::unique_ptr<Loop>& loop : state_->loops) loop->thread.join();
  state_->stopped = true;
}

boost::asio::io_context& IoContextOf(EventLoops& loops, int index) {
  return loops.state_->loops[index]->context;
}

}  // namespace penstock::http
