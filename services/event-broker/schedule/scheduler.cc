#include "services/event-broker/schedule/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <future>
#include <memory>
#include <utility>

#include "libs/log/log.h"

namespace penstock::broker {
namespace {

// The wall clock may be stepped at any time: it is looked at again at least so often.
constexpr Microseconds kSleepMax{1'000'000};
constexpr Microseconds kRetryFirst{100'000};
constexpr Microseconds kRetryMax{5'000'000};

log::Every& FailureLog() {
  static log::Every every(std::chrono::seconds(10));
  return every;
}

// Waits for what a store or the log answers on its own thread.
template <typename T, typename Start>
T Await(const Start& start) {
  const auto promise = std::make_shared<std::promise<T>>();
  std::future<T> answer = promise->get_future();
  start([promise](T value) { promise->set_value(std::move(value)); });
  return answer.get();
}

AppendRequest ToAppend(ScheduledEvent& event) {
  AppendRequest request;
  request.space = event.space;
  request.type = event.type;
  request.source = event.source;
  request.id = event.id;
  request.ordering_key = event.ordering_key;
  request.content_hash = event.content_hash;
  request.body = SharedBytes(std::move(event.body));
  return request;
}

std::optional<WallTime> Earlier(std::optional<WallTime> a, std::optional<WallTime> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

Scheduler::Scheduler(EventSchedule& store, EventLog& log, const Clock& clock,
                     metrics::Registry& registry, Options options)
    : store_(store),
      log_(log),
      clock_(clock),
      options_(options),
      metrics_(registry),
      started_(clock.Wall()) {}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Start() {
  const auto count = Await<absl::StatusOr<std::uint64_t>>(
      [this](auto done) { store_.CountScheduled(std::move(done)); });
  if (count.ok()) {
    metrics_.waiting.Set(static_cast<double>(*count));
  } else {
    log::Error("the schedule cannot be counted", {{"error", count.status()}});
  }
  if (!options_.own_thread) return;
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "scheduler");
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::Expect(const std::vector<WallTime>& dues) {
  if (dues.empty()) return;
  const WallTime first = *std::min_element(dues.begin(), dues.end());
  {
    const std::lock_guard lock(mutex_);
    added_ = Earlier(added_, first);
    next_due_ = Earlier(next_due_, first);
  }
  wake_.notify_all();
}

void Scheduler::Schedule(std::vector<ScheduledEvent> events, StoreResult<std::vector<bool>> done) {
  std::vector<WallTime> dues;
  for (const ScheduledEvent& event : events) dues.push_back(event.due);
  store_.Schedule(std::move(events), [this, dues = std::move(dues), done = std::move(done)](
                                         absl::StatusOr<std::vector<bool>> fresh) {
    if (fresh.ok()) {
      std::vector<WallTime> added;
      for (std::size_t i = 0; i < dues.size(); ++i) {
        if ((*fresh)[i]) added.push_back(dues[i]);
      }
      metrics_.waiting.Add(static_cast<double>(added.size()));
      Expect(added);
    }
    done(std::move(fresh));
  });
}

void Scheduler::ListDue(WallTime now, std::size_t limit, StoreResult<DueEvents> done) {
  store_.ListDue(now, limit, std::move(done));
}

void Scheduler::RemoveScheduled(std::vector<ScheduledEvent> events, StoreDone done) {
  store_.RemoveScheduled(std::move(events), std::move(done));
}

void Scheduler::ListScheduled(ScheduledQuery query, StoreResult<ScheduledPage> done) {
  store_.ListScheduled(std::move(query), std::move(done));
}

void Scheduler::GetScheduled(const std::string& space, const std::string& key,
                             StoreResult<ScheduledEvent> done) {
  store_.GetScheduled(space, key, std::move(done));
}

void Scheduler::CancelScheduled(const std::string& space, const std::string& key,
                                StoreResult<ScheduledEvent> done) {
  store_.CancelScheduled(space, key,
                         [this, done = std::move(done)](absl::StatusOr<ScheduledEvent> event) {
                           if (event.ok()) {
                             metrics_.waiting.Add(-1);
                             metrics_.cancelled.Increment();
                           }
                           done(std::move(event));
                         });
}

void Scheduler::CountScheduled(StoreResult<std::uint64_t> done) {
  store_.CountScheduled(std::move(done));
}

bool Scheduler::IsDue() const {
  if (retry_at_ && clock_.Monotonic() < *retry_at_) return false;
  return stale_ || (next_due_ && *next_due_ <= clock_.Wall());
}

void Scheduler::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      while (!stopping_ && !IsDue()) {
        Microseconds wait = kSleepMax;
        if (next_due_) wait = std::min(wait, *next_due_ - clock_.Wall());
        if (retry_at_) wait = std::max(wait, *retry_at_ - clock_.Monotonic());
        wake_.wait_for(lock, std::clamp(wait, Microseconds(1'000), kSleepMax));
      }
      if (stopping_) return;
    }
    PublishDue();
  }
}

std::size_t Scheduler::PublishDue() {
  {
    const std::lock_guard lock(mutex_);
    if (!IsDue()) return 0;
    added_.reset();
  }
  auto events = ReadDue(clock_.Wall());
  if (!events) return 0;
  std::size_t left = 0;
  for (std::size_t next = 0; next < events->size();) {
    Events published;
    const bool appended = AppendBatch(*events, next, published);
    if (!published.empty() && !Remove(published)) return left;
    left += published.size();
    if (!appended) return left;
  }
  const std::lock_guard lock(mutex_);
  retry_at_.reset();
  retry_delay_ = Microseconds(0);
  return left;
}

// Nothing after a failure. Notes when the next one is due.
std::optional<Scheduler::Events> Scheduler::ReadDue(WallTime now) {
  auto due = Await<absl::StatusOr<DueEvents>>(
      [&](auto done) { store_.ListDue(now, options_.batch_events_max, std::move(done)); });
  if (!due.ok()) {
    BackOff("the schedule cannot be read", due.status());
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  stale_ = false;
  next_due_ = Earlier(due->next, added_);
  return std::move(due->events);
}

bool Scheduler::AppendBatch(Events& events, std::size_t& next, Events& published) {
  std::vector<AppendRequest> requests;
  Events sent;
  std::size_t bytes = 0;
  for (; next < events.size(); ++next) {
    ScheduledEvent& event = events[next];
    if (!sent.empty() && bytes + event.body.size() > options_.batch_bytes_max) break;
    if (event.due < started_ && IsInLog(event)) {
      event.body.clear();
      published.push_back(std::move(event));
      continue;
    }
    bytes += event.body.size();
    requests.push_back(ToAppend(event));
    sent.push_back(std::move(event));
  }
  if (requests.empty()) return true;
  absl::Status queued;
  const auto results = Await<std::vector<AppendResult>>([&](const auto& done) {
    queued = log_.Append(std::move(requests), done);
    if (!queued.ok()) done({});
  });
  absl::Status failure = queued;
  const WallTime now = clock_.Wall();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].verdict == AppendVerdict::kFailed) {
      failure = results[i].status;
      continue;
    }
    if (results[i].verdict == AppendVerdict::kAccepted) {
      metrics_.published.Increment();
      metrics_.lateness.Observe(
          std::max(0.0, static_cast<double>((now - sent[i].due).count()) / 1e6));
    }
    published.push_back(std::move(sent[i]));
  }
  if (failure.ok()) return true;
  BackOff("scheduled events cannot be appended", failure);
  return false;
}

// Whether a run before this one appended it and ended before it could delete it.
bool Scheduler::IsInLog(const ScheduledEvent& event) const {
  const auto found = log_.FindById(
      {.space = event.space, .id = event.id, .source = event.source, .matches_max = 1});
  return found.ok() && !found->empty() && found->front().append_time >= event.create_time;
}

bool Scheduler::Remove(const Events& published) {
  const absl::Status removed =
      Await<absl::Status>([&](auto done) { store_.RemoveScheduled(published, std::move(done)); });
  if (!removed.ok()) {
    BackOff("published events cannot be taken off the schedule", removed);
    return false;
  }
  metrics_.waiting.Add(-static_cast<double>(published.size()));
  return true;
}

void Scheduler::BackOff(const char* what, const absl::Status& status) {
  metrics_.failures.Increment();
  log::Warn(FailureLog(), what, {{"error", status}});
  const std::lock_guard lock(mutex_);
  stale_ = true;
  retry_delay_ = std::clamp(retry_delay_ * 2, kRetryFirst, kRetryMax);
  retry_at_ = clock_.Monotonic() + retry_delay_;
}

}  // namespace penstock::broker
