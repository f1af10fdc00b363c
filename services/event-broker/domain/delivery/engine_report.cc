// How lanes and deliveries stand.
#include <algorithm>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

constexpr std::size_t kBlockedShown = 20;
constexpr double kRateSeconds = 60;

// Of keys that fail, the event that is tried again.
std::vector<Sequence> BlockedKeys(const Lane& lane) {
  std::vector<Sequence> blocked;
  for (const auto& [sequence, row] : lane.rows) {
    if (blocked.size() == kBlockedShown) break;
    if (row.state.kind == RowKind::kRetry && row.state.attempts_made > 0 &&
        lane.Ordered(row.state)) {
      blocked.push_back(sequence);
    }
  }
  return blocked;
}

int Badness(BreakerState state) {
  if (state == BreakerState::kOpen) return 2;
  return state == BreakerState::kHalfOpen ? 1 : 0;
}

void DescribeTargets(const Lane& lane, SubscriptionProgress& progress) {
  for (const Outlet& outlet : lane.outlets) {
    if (outlet.target == nullptr) continue;
    const BreakerState state = outlet.target->breaker().state();
    if (Badness(state) > Badness(progress.breaker)) progress.breaker = state;
    const int window = outlet.target->window();
    progress.window = progress.window == 0 ? window : std::min(progress.window, window);
  }
}

}  // namespace

std::optional<SubscriptionProgress> DeliveryEngine::Progress(const std::string& uid) const {
  const Lane* lane = FindLane(uid);
  if (lane == nullptr) return std::nullopt;
  SubscriptionProgress progress;
  progress.floor = lane->Floor(matched_through_);
  progress.in_flight = lane->in_flight.size();
  progress.retrying = lane->rows.size() - lane->held;
  progress.waiting = lane->pending();
  progress.held = lane->held;
  progress.catching_up = lane->catching_up;
  const auto consider = [&](WallTime time) {
    if (!progress.oldest_pending || time < *progress.oldest_pending) progress.oldest_pending = time;
  };
  if (const auto* undone = lane->ledger.lowest_undone()) consider(undone->position.append_time);
  for (const auto& [sequence, flight] : lane->in_flight) consider(flight.position.append_time);
  if (!lane->rows.empty()) consider(lane->rows.begin()->second.state.position.append_time);
  progress.block = BlockOf(*lane);
  DescribeTargets(*lane, progress);
  auto delivered = lane->delivered;
  auto failed = lane->failed;
  progress.delivered_per_second =
      static_cast<double>(delivered.Sum(last_.monotonic)) / kRateSeconds;
  progress.failed_per_second = static_cast<double>(failed.Sum(last_.monotonic)) / kRateSeconds;
  progress.blocked = BlockedKeys(*lane);
  if (lane->replay) {
    progress.matched = lane->replay->matched;
    progress.delivered = lane->replay->delivered;
    progress.dead = lane->replay->dead;
  }
  return progress;
}

LaneBlock DeliveryEngine::BlockOf(const Lane& lane) const {
  const DeliverySettings& settings = lane.settings();
  if (DeadLettersFull(*lane.owner)) return LaneBlock::kDeadLettersFull;
  if (lane.held >= static_cast<std::size_t>(settings.held_max)) return LaneBlock::kKeyBacklog;
  if (settings.pull) {
    return lane.owner->credit == 0 ? LaneBlock::kNoConsumer : LaneBlock::kNone;
  }
  if (capacity_ == 0) return LaneBlock::kNoExecutor;
  const Target* target = lane.outlets[0].target;
  if (target != nullptr && target->breaker().state() == BreakerState::kOpen) {
    return LaneBlock::kBreakerOpen;
  }
  if (lane.retry_rows() >= options_.rows_max) return LaneBlock::kRetriesFull;
  return LaneBlock::kNone;
}

std::optional<DeliveryWhereabouts> DeliveryEngine::Find(const DeliveryKey& key) const {
  const Lane* lane = FindLane(key.uid);
  if (lane == nullptr) return std::nullopt;
  DeliveryWhereabouts found;
  found.block = BlockOf(*lane);
  found.paused = lane->paused();
  const Row* row = lane->FindRow(key.sequence);
  if (row != nullptr) {
    found.attempts_sent = row->state.attempts_sent;
    found.log = row->state.log;
    found.to_sink = row->state.kind == RowKind::kSink;
    found.place = DeliveryPlace::kRetrying;
    if (row->state.kind == RowKind::kHeld) found.place = DeliveryPlace::kHeld;
    if (row->scheduled) found.due = row->state.due;
  }
  if (const auto flight = lane->in_flight.find(key.sequence); flight != lane->in_flight.end()) {
    found.place = DeliveryPlace::kInFlight;
    found.attempts_sent = flight->second.attempt;
    return found;
  }
  if (row != nullptr) return found;
  const Ledger::Entry* entry = lane->ledger.Find(key.sequence);
  if (entry != nullptr && entry->state == Ledger::State::kUndone) {
    const bool behind =
        lane->keys.Contains(entry->position) && !lane->keys.IsFirst(entry->position);
    found.place = behind ? DeliveryPlace::kHeld : DeliveryPlace::kWaiting;
  } else if (key.sequence <= lane->TakenTo(matched_through_) || lane->skip.contains(key.sequence)) {
    found.place = DeliveryPlace::kDone;
  }
  return found;
}

}  // namespace penstock::broker
