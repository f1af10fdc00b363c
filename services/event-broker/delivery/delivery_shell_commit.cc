// What the engine asks for in a turn, and its transactions.
#include <utility>

#include "libs/log/log.h"
#include "services/event-broker/delivery/delivery_shell.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr Microseconds kCommitAgainAfter = 200ms;
// What the disk cannot give for long must not keep everything else from becoming durable.
constexpr int kDeadReadsMax = 10;
// Attempts that end without being sent lead to new orders; the rest waits for the next turn.
constexpr int kRoundsPerTurn = 4;

}  // namespace

void DeliveryShell::Perform() {
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    for (ScanOrder& scan : std::exchange(out_.scans, {})) OrderScan(std::move(scan));
    for (const auto& [key, attempt] : std::exchange(out_.cancels, {})) PerformCancel(key, attempt);
    if (!out_.sends.empty()) PerformSends(std::exchange(out_.sends, {}));
    if (out_.transaction) StartCommit(*std::exchange(out_.transaction, std::nullopt));
    for (const std::string& uid : std::exchange(out_.drained, {})) {
      ReportDrained(uid);
    }
    if (failed_.empty()) break;
    engine_->Finished(std::exchange(failed_, {}), now(), out_);
  }
  if (!out_.sends.empty() || !out_.cancels.empty() || out_.transaction) {
    background_.Post([] {});
  }
  Leave();
  FlushPublications();
  if (commit_again_at_ && *commit_again_at_ <= ports_.clock.Monotonic()) {
    commit_again_at_.reset();
    commit_unread_ ? ReadDead(std::exchange(commit_unread_, nullptr)) : WriteCommit();
  }
}

void DeliveryShell::ReportDrained(const std::string& uid) {
  const auto subscription = subscriptions_.find(uid);
  if (subscription == subscriptions_.end() || !ports_.on_drained) return;
  ports_.on_drained(uid, subscription->second->drain_to);
}

void DeliveryShell::StartCommit(StateTransaction transaction) {
  auto commit = std::make_shared<Commit>();
  for (const DeadDelivery& dead : transaction.dead) {
    commit->dead.push_back(DescribeDead(dead));
    // Where the store has the event of before, perhaps edited, it keeps that.
    const bool has_event = dead.reason != DeadReason::kRetention;
    if (has_event && commit->dead.back().event.empty()) {
      commit->unread.push_back(commit->dead.size() - 1);
    }
  }
  for (const std::string& uid : transaction.forgotten) removed_.erase(uid);
  commit->transaction = std::move(transaction);
  ++transactions_started_;
  commit->unread.empty() ? TakeDead(std::move(commit)) : ReadDead(std::move(commit));
}

void DeliveryShell::ReadDead(std::shared_ptr<Commit> commit) {
  background_.Run(Background::Lane::kLoad,
                  [this, commit, loader = loader_]() -> Background::Message {
                    std::erase_if(commit->unread, [&](std::size_t i) {
                      StoredDeadLetter& letter = commit->dead[i];
                      const auto record = loader->Read(letter.delivery.key.sequence);
                      if (!record.ok()) return IsLost(record.status());
                      letter.event = std::string(record->body);
                      letter.event_id = std::string(record->id);
                      letter.event_type = std::string(record->type);
                      return true;
                    });
                    return [this, commit] { TakeDead(commit); };
                  });
}

void DeliveryShell::TakeDead(std::shared_ptr<Commit> commit) {
  if (!commit->unread.empty() && ++commit->reads < kDeadReadsMax) {
    commit_unread_ = std::move(commit);
    commit_again_at_ = ports_.clock.Monotonic() + kCommitAgainAfter;
    return;
  }
  commit_ = std::move(commit);
  WriteCommit();
}

// Without the event when it is not at hand. Where it cannot be read at all, the letter still says
// what was lost.
StoredDeadLetter DeliveryShell::DescribeDead(const DeadDelivery& dead) const {
  StoredDeadLetter letter;
  letter.delivery = dead;
  if (const Subscription* subscription = FindSubscription(SubscriptionOfLane(dead.key.uid))) {
    letter.space = subscription->space;
    letter.subscription = subscription->id;
    letter.function = subscription->function;
  }
  if (dead.reason == DeadReason::kRetention) return letter;
  if (const auto record = ports_.log.ReadCached(dead.key.sequence)) {
    letter.event = std::string(record->body);
    letter.event_id = std::string(record->id);
    letter.event_type = std::string(record->type);
  }
  return letter;
}

void DeliveryShell::WriteCommit() {
  ports_.store.Commit(commit_->transaction, commit_->dead, [this](const absl::Status& status) {
    background_.Post([this, status] { CommitDone(status); });
  });
}

void DeliveryShell::CommitDone(const absl::Status& status) {
  if (!status.ok()) {
    // The engine waits: nothing that is not durable is forgotten, and nothing is decided on top of
    // it.
    ++stats_.commit_failures;
    log::Error("delivery state cannot be stored", {{"reason", std::string(status.message())}});
    commit_again_at_ = ports_.clock.Monotonic() + kCommitAgainAfter;
    return;
  }
  MovePins(std::exchange(commit_, nullptr)->transaction);
  std::erase_if(redrives_, [this](const Redriven& redriven) {
    if (redriven.transaction > transactions_started_) return false;
    redriven.done();
    return true;
  });
  engine_->Persisted(now(), out_);
}

// What is durable needs no earlier events any more. A lane that began in the past may need earlier
// ones than all others did: its rows too, which its own pin leaves behind.
void DeliveryShell::MovePins(const StateTransaction& transaction) {
  const Sequence needed = engine_->lowest_needed();
  if (needed < pin_->sequence()) {
    pin_ = ports_.log.Pin(needed, {"matcher", ""});
  } else {
    pin_->MoveTo(needed);
  }
  for (const auto& [lane, cursor] : transaction.cursors) {
    PinLane(lane, cursor.floor + 1);
    lanes_begun_.erase(lane);
  }
  // A lane that was done with its past before a transaction came never had a cursor.
  std::erase_if(lanes_begun_, [this](const auto& begun) {
    const bool known = begun.second <= transactions_started_;
    if (known && !replays_waiting_.contains(begun.first)) lane_pins_.erase(begun.first);
    return known;
  });
  for (const auto* lanes : {&transaction.cursors_removed, &transaction.forgotten}) {
    for (const std::string& lane : *lanes) lane_pins_.erase(lane);
  }
  for (const auto& [lane, cursor] : transaction.replays_done) lane_pins_.erase(lane);
}

// Before the engine is told: what it needs goes below what it needed until now.
void DeliveryShell::PinStart(const std::string& lane, Sequence from) {
  PinLane(lane, from);
  lanes_begun_[lane] = NextTransaction();
}

void DeliveryShell::PinLane(const std::string& lane, Sequence from) {
  std::unique_ptr<LogPin>& pin = lane_pins_[lane];
  if (pin != nullptr) return pin->MoveTo(from);
  PinOwner owner;
  if (const Subscription* subscription = FindSubscription(SubscriptionOfLane(lane))) {
    owner.space = subscription->space;
    owner.label = "subscription " + subscription->id;
    if (const std::string_view replay = ReplayOfLane(lane); !replay.empty()) {
      owner.label = "replay " + std::string(replay) + " of " + subscription->id;
    }
  }
  pin = ports_.log.Pin(from, owner);
}

void DeliveryShell::Redrive(std::vector<StoredDeadLetter> letters, int per_second,
                            std::function<void(absl::StatusOr<std::int64_t>)> done) {
  std::vector<DeliveryEngine::RedriveOrder> orders;
  orders.reserve(letters.size());
  for (const StoredDeadLetter& letter : letters) {
    const DeadDelivery& dead = letter.delivery;
    if (dead.reason == DeadReason::kRetention) continue;  // There is no event.
    orders.push_back({dead.key, dead.append_time, dead.ordering_key, dead.redrives, letter.bytes});
  }
  const auto count = static_cast<std::int64_t>(engine_->Redrive(orders, per_second, now(), out_));
  if (count == 0 || (engine_->clean() && !out_.transaction)) return done(count);
  // What is not in a transaction yet comes with the next one.
  const std::uint64_t made = transactions_started_ + (out_.transaction ? 1 : 0);
  redrives_.push_back({made + (engine_->dirty() ? 1 : 0), [done, count] { done(count); }});
  engine_->Flush(now(), out_);
}

void DeliveryShell::Cancel(const DeliveryKey& key, std::function<void(CancelVerdict)> done) {
  const CancelVerdict verdict = engine_->Cancel(key, now(), out_);
  const bool is_durable = engine_->clean() && !out_.transaction;
  if (verdict != CancelVerdict::kCancelled || is_durable) return done(verdict);
  const std::uint64_t made = transactions_started_ + (out_.transaction ? 1 : 0);
  redrives_.push_back({made + (engine_->dirty() ? 1 : 0), [done, verdict] { done(verdict); }});
  engine_->Flush(now(), out_);
}

void DeliveryShell::Purged(const std::vector<StoredDeadLetter>& letters) {
  struct Gone {
    std::uint64_t bytes = 0;
    std::vector<Sequence> letters;
  };
  std::map<std::string, Gone> lanes;
  for (const StoredDeadLetter& letter : letters) {
    Gone& gone = lanes[letter.delivery.key.uid];
    gone.bytes += letter.bytes;
    gone.letters.push_back(letter.delivery.key.sequence);
  }
  for (const auto& [lane, gone] : lanes) {
    engine_->FreeKeys(lane, gone.letters, now(), out_);
    engine_->Purged(lane, gone.letters.size(), gone.bytes, now(), out_);
  }
}

}  // namespace penstock::broker
