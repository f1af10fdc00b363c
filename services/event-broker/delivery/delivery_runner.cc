#include "services/event-broker/delivery/delivery_runner.h"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/codec/cloud_event_attributes.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kHeadEvents = 1024;
constexpr std::size_t kHeadBytes = 8u << 20;
// Without anything to do the thread still looks at the clock now and then.
constexpr auto kIdle = 1s;
constexpr Microseconds kReadAgainAfter = 1s;

}  // namespace

DeliveryRunner::DeliveryRunner(Ports ports, EngineOptions options)
    : ports_(ports), options_(options) {}

DeliveryRunner::~DeliveryRunner() { Stop(0ms); }

DeliverySettings DeliveryRunner::SettingsOf(const Subscription& subscription) {
  return {subscription.retry, subscription.in_flight_max,
          subscription.state == SubscriptionState::kPaused};
}

void DeliveryRunner::Start(StartState state) {
  RestoreState(state);
  head_ = ports_.log.head();
  head_listener_ = ports_.log.OnHeadAdvanced([this](Sequence head) {
    {
      const std::lock_guard lock(mutex_);
      head_ = std::max(head_, head);
    }
    wake_.notify_one();
  });
  loader_ = std::make_unique<EventLoader>(ports_.log);
  catch_up_ = std::make_unique<CatchUp>(ports_.log, [this](ScanAnswer answer) {
    Post([this, answer = std::move(answer)] {
      engine_->Scanned(answer.uid, answer.positions, answer.next, now(), out_);
    });
  });
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "delivery");
  ports_.invoker.Start({
      .on_results =
          [this](std::vector<DeliveryResult> results) {
            Post([this, results = std::move(results)] { TakeResults(results); });
          },
      .on_capacity =
          [this](std::size_t slots) {
            Post([this, slots] {
              stats_.capacity = slots;
              engine_->SetCapacity(slots, now(), out_);
            });
          },
  });
}

void DeliveryRunner::RestoreState(const StartState& state) {
  const Sequence through = state.saved.matched_through;
  engine_.emplace(options_, through);
  pin_ = ports_.log.Pin(through + 1);
  for (const Subscription& subscription : state.live) {
    if (subscription.http) continue;
    subscriptions_[subscription.uid] = std::make_shared<const Subscription>(subscription);
  }
  std::set<std::string> known;
  for (const auto& stored : state.revisions) {
    const Subscription& subscription = stored->subscription;
    // Later ones take effect when their control records are read again.
    if (subscription.effective_sequence > through) continue;
    if (stored->deleted) {
      index_.Remove(subscription.uid);
      known.erase(subscription.uid);
    } else if (!subscription.http) {
      index_.Set(subscription, subscription.effective_sequence, kNoSequence);
      known.insert(subscription.uid);
    }
  }
  for (const std::string& uid : known) {
    const auto current = subscriptions_.find(uid);
    if (current == subscriptions_.end()) continue;  // A later control record will remove it.
    const auto cursor = state.saved.cursors.find(uid);
    const auto rows = state.saved.rows.find(uid);
    engine_->Restore(uid, SettingsOf(*current->second),
                     cursor == state.saved.cursors.end() ? nullptr : &cursor->second,
                     rows == state.saved.rows.end() ? std::vector<RetryRow>() : rows->second, now(),
                     out_);
  }
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
  catch_up_->Stop();
  loader_->Stop();
}

void DeliveryRunner::Post(Message message) {
  {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  wake_.notify_one();
}

// True while there is a reason to go on.
bool DeliveryRunner::WaitForWork() {
  const auto started = ports_.clock.Monotonic();
  std::optional<MonotonicTime> wake_at = out_.wake_at;
  for (const auto& timer : {commit_again_at_, read_again_at_}) {
    if (timer && (!wake_at || *timer < *wake_at)) wake_at = timer;
  }
  auto wait = std::chrono::duration_cast<Microseconds>(kIdle);
  if (wake_at) wait = std::clamp(*wake_at - started, Microseconds(0), wait);
  std::vector<Message> messages;
  bool stopping = false;
  bool late = false;
  {
    std::unique_lock lock(mutex_);
    if (stop_by_) wait = std::min(wait, Microseconds(5'000));
    wake_.wait_for(lock, wait, [this, stopping_before = stop_by_.has_value()] {
      return !messages_.empty() || (head_ > engine_->matched_through() && !read_again_at_) ||
             stop_by_.has_value() != stopping_before;
    });
    messages.swap(messages_);
    stopping = stop_by_.has_value();
    late = stopping && std::chrono::steady_clock::now() >= *stop_by_;
  }
  for (const Message& message : messages) message();
  if (!stopping) return true;
  engine_->SetCapacity(0, now(), out_);
  if (engine_->in_flight() > 0 && !late) return true;
  engine_->Flush(now(), out_);
  return !engine_->clean() && !late;
}

void DeliveryRunner::Run() {
  bool running = true;
  while (running) {
    running = WaitForWork();
    ReadHead();
    engine_->Tick(now(), out_);
    Perform();
    PublishStats();
  }
}

void DeliveryRunner::ReadHead() {
  if (read_again_at_ && ports_.clock.Monotonic() < *read_again_at_) return;
  read_again_at_.reset();
  // A few batches a turn: results and timers get theirs in between.
  for (int turn = 0; turn < 4 && ports_.log.head() > engine_->matched_through(); ++turn) {
    ScanRequest request;
    request.from = engine_->matched_through() + 1;
    request.events_max = kHeadEvents;
    request.bytes_max = kHeadBytes;
    auto batch = ports_.log.ScanCached(request);
    if (batch) {
      TakeHeadBatch(*batch);
      continue;
    }
    auto scanned = ports_.log.Scan(request);
    if (scanned.ok()) {
      TakeHeadBatch(*scanned);
    } else if (absl::IsOutOfRange(scanned.status())) {
      engine_->Matched({}, ports_.log.horizon() - 1, now(), out_);
    } else {
      log::Error("reading the log's head failed",
                 {{"reason", std::string(scanned.status().message())}});
      read_again_at_ = ports_.clock.Monotonic() + kReadAgainAfter;
      return;
    }
  }
}

void DeliveryRunner::TakeHeadBatch(const ScanResult& batch) {
  std::vector<DeliveryEngine::Match> matches;
  std::vector<std::string> uids;
  for (const EventRecord& record : batch.records) {
    if (record.kind == RecordKind::kControl) {
      TakeControl(record);
      continue;
    }
    uids.clear();
    const CloudEventAttributes attributes(record);
    index_.head().Match({record.space, record.type, &attributes}, uids);
    for (std::string& uid : uids) {
      matches.push_back({std::move(uid), {record.sequence, record.append_time}});
    }
  }
  if (batch.lost) {
    log::Error("a damaged part of the log is skipped",
               {{"reason", std::string(batch.damage().message())}});
  }
  engine_->Matched(matches, batch.next - 1, now(), out_);
}

void DeliveryRunner::TakeControl(const EventRecord& record) {
  const auto control = ControlRecord::Parse(record.body);
  if (!control) {
    log::Error("a control record cannot be read", {{"sequence", record.sequence}});
    return;
  }
  const auto stored = ports_.revisions.FindRevision(control->uid, control->match_revision);
  if (stored == nullptr || stored->subscription.http) return;
  if (stored->deleted) {
    index_.Remove(control->uid);
    if (auto node = subscriptions_.extract(control->uid)) removed_.insert(std::move(node));
    engine_->Remove(control->uid, now(), out_);
    return;
  }
  // A record of an unchanged revision comes with changes that do not touch matching.
  const auto history = index_.History(control->uid);
  const Sequence effective = stored->subscription.effective_sequence;
  if (history != nullptr && effective != kNoSequence && effective < record.sequence) return;
  index_.Set(stored->subscription, record.sequence, engine_->lowest_needed());
  if (!subscriptions_.contains(control->uid)) {
    subscriptions_[control->uid] = std::make_shared<const Subscription>(stored->subscription);
  }
  if (!engine_->Progress(control->uid)) {
    engine_->Add(control->uid, SettingsOf(*subscriptions_[control->uid]), now(), out_);
  }
}

void DeliveryRunner::TakeResults(const std::vector<DeliveryResult>& results) {
  engine_->Finished(results, now(), out_);
}

void DeliveryRunner::Change(std::shared_ptr<const Subscription> subscription) {
  if (subscription->http) return;
  Post([this, subscription = std::move(subscription)] {
    subscriptions_[subscription->uid] = subscription;
    engine_->ChangeSettings(subscription->uid, SettingsOf(*subscription), now(), out_);
  });
}

void DeliveryRunner::GetProgress(const std::string& uid,
                                 std::function<void(std::optional<SubscriptionProgress>)> done) {
  Post([this, uid, done = std::move(done)] { done(engine_->Progress(uid)); });
}

void DeliveryRunner::Redrive(std::vector<StoredDeadLetter> letters,
                             std::function<void(absl::StatusOr<std::int64_t>)> done) {
  Post([this, letters = std::move(letters), done = std::move(done)] {
    std::int64_t count = 0;
    for (const StoredDeadLetter& letter : letters) {
      RetryRow row;
      row.position = {letter.delivery.key.sequence, letter.delivery.append_time};
      row.redrives = letter.delivery.redrives + 1;
      if (engine_->Redrive(letter.delivery.key.uid, std::move(row), now(), out_)) ++count;
    }
    if (count == 0) return done(0);
    if (engine_->clean()) return done(count);  // All of them are being sent again already.
    // What is not in a transaction yet comes with the next one.
    const std::uint64_t made = transactions_started_ + (out_.transaction ? 1 : 0);
    redrives_.push_back({made + (engine_->dirty() ? 1 : 0), [done, count] { done(count); }});
    engine_->Flush(now(), out_);
  });
}

void DeliveryRunner::PublishStats() {
  const EngineCounters& counters = engine_->counters();
  stats_.matched_through = engine_->matched_through();
  stats_.in_flight = engine_->in_flight();
  stats_.sent = sent_;
  stats_.succeeded = counters.succeeded;
  stats_.retried = counters.retried;
  stats_.dead = counters.dead;
  stats_.rejected = counters.rejected;
  stats_.lost = counters.lost;
  stats_.unknown_results = counters.unknown_results;
}

}  // namespace penstock::broker
