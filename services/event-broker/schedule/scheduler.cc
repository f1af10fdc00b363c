#include "services/event-broker/schedule/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <future>
#include <memory>
#include <utility>

#include "libs/base/status.h"
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

void Scheduler::ListDue(DueQuery query, StoreResult<DueEvents> done) {
  store_.ListDue(std::move(query), std::move(done));
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
  Name name(space, key);
  {
    const std::lock_guard lock(mutex_);
    if (in_pass_) {
      cancels_waiting_.push_back({std::move(name), std::move(done)});
      return;
    }
    cancelling_.insert(name);
  }
  StartCancel(std::move(name), std::move(done));
}

// It is in `cancelling_`.
void Scheduler::StartCancel(Name name, StoreResult<ScheduledEvent> done) {
  store_.CancelScheduled(
      name.first, name.second,
      [this, name, done = std::move(done)](absl::StatusOr<ScheduledEvent> event) {
        {
          const std::lock_guard lock(mutex_);
          cancelling_.erase(cancelling_.find(name));
        }
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
  Round round;
  round.now = clock_.Wall();
  // While spaces are set aside, the others have their turn at once: the next round is later.
  for (bool more = true; more;) {
    const auto found = PublishOnce(round);
    EndPass();
    if (!found) return round.left;
    const std::lock_guard lock(mutex_);
    more = !round.refused.empty() && *found > 0 && !stopping_;
  }
  if (!round.refused.empty()) {
    BackOff("spaces take no scheduled events", round.refusal);
    return round.left;
  }
  const std::lock_guard lock(mutex_);
  retry_at_.reset();
  retry_delay_ = Microseconds(0);
  return round.left;
}

std::optional<std::size_t> Scheduler::PublishOnce(Round& round) {
  auto events = ReadDue(round);
  if (!events) return std::nullopt;
  for (std::size_t next = 0; next < events->size();) {
    Events published;
    const bool appended = AppendBatch(round, *events, next, published);
    if (!published.empty() && !Remove(published)) return std::nullopt;
    round.left += published.size();
    if (!appended) return std::nullopt;
  }
  return events->size();
}

void Scheduler::EndPass() {
  std::vector<WaitingCancel> waiting;
  {
    const std::lock_guard lock(mutex_);
    in_pass_ = false;
    waiting.swap(cancels_waiting_);
    for (const WaitingCancel& cancel : waiting) cancelling_.insert(cancel.name);
  }
  for (WaitingCancel& cancel : waiting) {
    StartCancel(std::move(cancel.name), std::move(cancel.done));
  }
}

// Nothing after a failure. Notes when the next one is due.
std::optional<Scheduler::Events> Scheduler::ReadDue(const Round& round) {
  std::multiset<Name> cancelling;
  {
    const std::lock_guard lock(mutex_);
    in_pass_ = true;
    cancelling = cancelling_;
  }
  auto due = Await<absl::StatusOr<DueEvents>>([&](auto done) {
    store_.ListDue({round.now, options_.batch_events_max, round.refused}, std::move(done));
  });
  if (!due.ok()) {
    BackOff("the schedule cannot be read", due.status());
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  // What was being cancelled may be gone, or has its turn in the next round.
  const auto doubtful = std::erase_if(due->events, [&](const ScheduledEvent& event) {
    return cancelling.contains({event.space, event.key});
  });
  stale_ = doubtful > 0;
  next_due_ = Earlier(due->next, added_);
  return std::move(due->events);
}

bool Scheduler::AppendBatch(Round& round, Events& events, std::size_t& next, Events& published) {
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
      if (ReasonOf(results[i].status) == kReasonPinLimit) {
        round.refused.insert(sent[i].space);
        round.refusal = results[i].status;
      } else {
        failure = results[i].status;
      }
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
