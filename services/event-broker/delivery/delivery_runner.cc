#include "services/event-broker/delivery/delivery_runner.h"

#include <pthread.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// Without anything to do the thread still looks at the clock now and then.
constexpr Microseconds kIdle = 1s;
// While it stops it looks often, so that the deadline is kept.
constexpr Microseconds kIdleWhileStopping = 5ms;

// What is queued is bounded by what the engine has in flight and by one pass at a time.
WorkerPool::Options OneThread(std::string name) {
  return {
      .name = std::move(name), .threads = 1, .queue_max = std::numeric_limits<std::size_t>::max()};
}

}  // namespace

DeliveryRunner::DeliveryRunner(DeliveryPorts ports, DeliveryOptions options)
    : log_(ports.log),
      clock_(ports.clock),
      shell_(std::move(ports), *this, options, stats_),
      scans_(OneThread("catch-up")),
      loads_(OneThread("event-loader")) {}

DeliveryRunner::~DeliveryRunner() { Stop(0ms); }

void DeliveryRunner::Start(DeliveryStart start) {
  shell_.Start(std::move(start));
  head_listener_ = log_.OnHeadAdvanced([this](Sequence) {
    {
      const std::lock_guard lock(mutex_);
      head_moved_ = true;
    }
    wake_.notify_one();
  });
  thread_ = std::thread([this] { RunShell(); });
  pthread_setname_np(thread_.native_handle(), "delivery");
}

void DeliveryRunner::Stop(std::chrono::milliseconds deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || stop_by_) return;
    stop_by_ = std::chrono::steady_clock::now() + deadline;
  }
  head_listener_.reset();
  wake_.notify_one();
  thread_.join();
  scans_.Stop();
  loads_.Stop();
}

void DeliveryRunner::Post(Message message) {
  {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  wake_.notify_one();
}

void DeliveryRunner::Run(Lane lane, std::function<Message()> work) {
  WorkerPool& pool = lane == Lane::kScan ? scans_ : loads_;
  // Refused only after Stop.
  [[maybe_unused]] const bool queued =
      pool.TryPost([this, work = std::move(work)] { Post(work()); });
}

// True while there is a reason to go on.
bool DeliveryRunner::WaitForWork() {
  Microseconds wait = kIdle;
  if (const auto wake_at = shell_.wake_at()) {
    wait = std::clamp(*wake_at - clock_.Monotonic(), Microseconds(0), wait);
  }
  if (shell_.head_waits()) wait = Microseconds(0);
  std::vector<Message> messages;
  bool stopping = false;
  bool late = false;
  {
    std::unique_lock lock(mutex_);
    if (stop_by_) wait = std::min(wait, kIdleWhileStopping);
    wake_.wait_for(lock, wait, [this, before = stop_by_.has_value()] {
      return !messages_.empty() || head_moved_ || stop_by_.has_value() != before;
    });
    messages.swap(messages_);
    head_moved_ = false;
    stopping = stop_by_.has_value();
    late = stopping && std::chrono::steady_clock::now() >= *stop_by_;
  }
  for (const Message& message : messages) message();
  return !stopping || !shell_.Drain(late);
}

void DeliveryRunner::RunShell() {
  bool running = true;
  while (running) {
    running = WaitForWork();
    shell_.Step();
  }
}

void DeliveryRunner::Change(std::shared_ptr<const Subscription> subscription) {
  Post([this, subscription = std::move(subscription)] { shell_.Change(subscription); });
}

void DeliveryRunner::GetProgress(const std::string& uid,
                                 std::function<void(std::optional<SubscriptionProgress>)> done) {
  Post([this, uid, done = std::move(done)] { shell_.GetProgress(uid, done); });
}

void DeliveryRunner::FindDelivery(const DeliveryKey& key,
                                  std::function<void(std::optional<DeliveryWhereabouts>)> done) {
  Post([this, key, done = std::move(done)] { shell_.FindDelivery(key, done); });
}

void DeliveryRunner::Redrive(std::vector<StoredDeadLetter> letters, int per_second,
                             std::function<void(absl::StatusOr<std::int64_t>)> done) {
  Post([this, letters = std::move(letters), per_second, done = std::move(done)] {
    shell_.Redrive(letters, per_second, done);
  });
}

void DeliveryRunner::Cancel(const DeliveryKey& key, std::function<void(CancelVerdict)> done) {
  Post([this, key, done = std::move(done)] { shell_.Cancel(key, done); });
}

void DeliveryRunner::Purged(const std::vector<StoredDeadLetter>& letters) {
  Post([this, letters] { shell_.Purged(letters); });
}

void DeliveryRunner::StartReplay(const StoredReplay& replay) {
  Post([this, replay] { shell_.StartReplay(replay); });
}

void DeliveryRunner::SetReplayPaused(const std::string& lane, bool paused) {
  Post([this, lane, paused] { shell_.SetReplayPaused(lane, paused); });
}

void DeliveryRunner::EndReplay(const std::string& lane) {
  Post([this, lane] { shell_.EndReplay(lane); });
}

void DeliveryRunner::CountMatches(const std::string& uid, Sequence from, Sequence to,
                                  std::function<void(absl::StatusOr<std::int64_t>)> done) {
  Post([this, uid, from, to, done = std::move(done)] { shell_.CountMatches(uid, from, to, done); });
}

}  // namespace penstock::broker
