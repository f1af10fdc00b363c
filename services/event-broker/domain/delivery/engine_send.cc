// What a lane may send now, and the sending of it.
#include <algorithm>
#include <utility>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

// A batch is one message, whose size has a limit. A larger event travels alone.
constexpr std::uint64_t kBatchBytesMax = 1 << 20;

}  // namespace

bool DeliveryEngine::MaySend(const Lane& lane) const {
  return !lane.paused() && lane.calls < lane.settings().in_flight_max;
}

// Whether the outlet's target takes a call. If not, the lane is woken when it does, after those
// that wait already.
bool DeliveryEngine::HasRoom(Lane& lane, std::size_t index) {
  Outlet& outlet = lane.outlets[index];
  if (lane.settings().pull && index != lane.sink_outlet() && lane.owner->credit == 0) return false;
  if (outlet.target == nullptr) return true;
  const bool its_turn = outlet.woken || outlet.target->waiters.empty();
  if (its_turn && outlet.target->Room() > 0) return true;
  if (!std::exchange(outlet.waits, true)) {
    outlet.target->waiters.emplace_back(&lane, static_cast<int>(index));
  }
  return false;
}

bool DeliveryEngine::HasTokens(Lane& lane, int tokens, EngineTime now) {
  if (lane.owner->rate && !lane.owner->rate->Has(tokens, now.monotonic)) return false;
  return !lane.replay || !lane.replay->rate || lane.replay->rate->Has(tokens, now.monotonic);
}

// How many fresh events leave together, as many as the rate can ever let go at once.
int DeliveryEngine::BatchSize(const Lane& lane) const {
  const DeliverySettings& settings = lane.settings();
  if (settings.ordered || settings.pull || lane.members > 1) return 1;
  int size = std::max(1, settings.batch.events_max);
  if (settings.rate) size = std::min(size, settings.rate->burst);
  if (lane.replay && lane.replay->rate) size = std::min(size, lane.replay->rate->limit().burst);
  return size;
}

bool DeliveryEngine::BatchWaits(const Lane& lane, EngineTime now) const {
  return static_cast<int>(lane.outlets[0].ready.size()) < BatchSize(lane) &&
         now.monotonic < lane.batch_since + lane.settings().batch.wait_max;
}

std::optional<std::size_t> DeliveryEngine::FindFresh(Lane& lane, EngineTime now) {
  if (!MaySend(lane) || DeadLettersFull(*lane.owner)) return std::nullopt;
  // Later members first: they finish what has begun.
  for (std::size_t i = lane.members + 1; i-- > 0;) {
    const Outlet& outlet = lane.outlets[i];
    if (outlet.ready.empty()) continue;
    int tokens = 1;
    if (i == 0) {
      if (lane.retry_rows() >= options_.rows_max || BatchWaits(lane, now)) continue;
      tokens = std::min(BatchSize(lane), static_cast<int>(outlet.ready.size()));
    }
    if (HasRoom(lane, i) && HasTokens(lane, tokens, now)) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> DeliveryEngine::FindRetry(Lane& lane, EngineTime now) {
  if (!MaySend(lane)) return std::nullopt;
  const bool full = DeadLettersFull(*lane.owner);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < lane.outlets.size(); ++i) {
    const auto& due = lane.outlets[i].due;
    if (due.empty() || due.begin()->first > now.monotonic) continue;
    // Only what makes room goes on while there is none for more dead letters.
    if (full && i != lane.redrive_outlet()) continue;
    if (best && lane.outlets[*best].due.begin()->first <= due.begin()->first) continue;
    if (!HasRoom(lane, i)) continue;
    if (i == lane.sink_outlet() || HasTokens(lane, 1, now)) best = i;
  }
  return best;
}

void DeliveryEngine::SendFresh(Lane& lane, std::size_t index, EngineTime now, EngineOutput& out) {
  const Position position = lane.outlets[index].ready.front();
  lane.outlets[index].ready.pop_front();
  if (lane.Outlived(position, now.wall)) {
    return GiveUp(lane, lane.RowOf(position, now.wall), DeadReason::kExpired, now);
  }
  Flight& flight = Begin(lane, index, position, now, out);
  if (index == 0 && BatchSize(lane) > 1) AddBatch(lane, flight, now, out);
}

void DeliveryEngine::SendRetry(Lane& lane, std::size_t index, EngineTime now, EngineOutput& out) {
  Row& row = lane.rows.at(lane.outlets[index].due.begin()->second);
  lane.Unschedule(row);
  if (row.expires < now.wall) return GiveUp(lane, row.state, DeadReason::kExpired, now);
  const RetryRow& state = row.state;
  Begin(lane, index, Position(state.position), now, out);
  SendOrder& order = out.sends.back();
  if (state.kind != RowKind::kSink) return;
  order.to_sink = true;
  order.dead = DeadDelivery{order.key,         state.position.append_time,
                            state.dead_reason, AttemptsBeforeSink(state),
                            state.redrives,    now.wall,
                            state.log,         state.position.key};
}

// One call more, with one event.
Flight& DeliveryEngine::Begin(Lane& lane, std::size_t index, const Position& position,
                              EngineTime now, EngineOutput& out) {
  const Row* row = lane.FindRow(position.sequence);
  Flight flight;
  flight.position = position;
  flight.sent = now.wall;
  flight.attempt = row != nullptr ? row->state.attempts_sent + 1 : 1;
  flight.to_sink = index == lane.sink_outlet();
  flight.counted = !lane.settings().pull;
  flight.target = lane.outlets[index].target;
  lane.outlets[index].woken = false;
  if (flight.target != nullptr) flight.probe = flight.target->Begin();
  if (flight.counted) {
    flight.space = lane.fair.space;
    queue_.CallBegan(*flight.space);
    ++calls_;
  } else if (!flight.to_sink) {
    --lane.owner->credit;
  }
  if (!flight.to_sink) {
    if (lane.owner->rate) lane.owner->rate->Take(1);
    if (lane.replay && lane.replay->rate) lane.replay->rate->Take(1);
  }
  ++lane.calls;
  ++in_flight_;
  SendOrder& order = out.sends.emplace_back();
  order.key = {lane.uid, position.sequence};
  order.attempt = flight.attempt;
  if (row != nullptr) {
    order.redriven = row->state.redrives > 0;
    order.member = std::min(row->state.member, static_cast<int>(lane.members) - 1);
  }
  Touch(lane);
  return lane.in_flight.insert_or_assign(position.sequence, flight).first->second;
}

// What else is ready goes along, in the same call.
void DeliveryEngine::AddBatch(Lane& lane, Flight& first, EngineTime now, EngineOutput& out) {
  std::deque<Position>& ready = lane.outlets[0].ready;
  const Sequence call = first.position.sequence;
  std::uint64_t bytes = first.position.bytes;
  int size = 1;
  for (; size < BatchSize(lane) && !ready.empty(); ready.pop_front()) {
    const Position position = ready.front();
    if (lane.Outlived(position, now.wall)) {
      GiveUp(lane, lane.RowOf(position, now.wall), DeadReason::kExpired, now);
      continue;
    }
    bytes += position.bytes;
    if (bytes > kBatchBytesMax || !HasTokens(lane, 1, now)) break;
    if (lane.owner->rate) lane.owner->rate->Take(1);
    if (lane.replay && lane.replay->rate) lane.replay->rate->Take(1);
    Flight flight = first;
    flight.position = position;
    flight.call = call;
    lane.in_flight.emplace(position.sequence, flight);
    ++in_flight_;
    out.sends.back().batch.push_back(position.sequence);
    ++size;
  }
  lane.batch_since = now.monotonic;
  if (size == 1) return;
  first.call = call;
  lane.batches.emplace(call, size);
}

}  // namespace penstock::broker
