// What the world looks at after every step.
#include "tests/unit/services/event-broker/domain/engine_world.h"

namespace penstock::broker {

void EngineWorld::CheckSend(const SendOrder& order, Sequence sequence) {
  const DeliveryKey key{order.key.uid, sequence};
  const std::string subscription(SubscriptionOfLane(key.uid));
  ASSERT_FALSE(sent_.contains(key)) << key.Id() << " is in flight already";
  ASSERT_TRUE(MatchesLane(key.uid, sequence)) << key.Id();
  ASSERT_FALSE(settings_.at(subscription).paused) << key.Id() << " though it is paused";
  if (subscription == "pull") {
    ASSERT_GT(credit_["pull"], 0u) << key.Id();
    --credit_["pull"];
  }
  SendOrder own = order;
  own.key = key;
  if (settings_.at(subscription).ordered && !order.redriven && !order.to_sink) {
    CheckOrder(key.uid, sequence);
  }
  ASSERT_EQ(order.to_sink, order.dead.has_value());
  sent_.emplace(key, std::move(own));
  call_of_.emplace(key, order.key.sequence);
}

// One of a key at a time, and none before all earlier ones are done.
void EngineWorld::CheckOrder(const std::string& lane, Sequence sequence) {
  const std::uint64_t key = KeyOf(sequence);
  if (key == 0) return;
  const auto same_key = [&](const DeliveryKey& other) {
    return other.uid == lane && KeyOf(other.sequence) == key;
  };
  for (auto at = sent_.lower_bound({lane, 0}); at != sent_.end() && at->first.uid == lane; ++at) {
    const auto& [other, order] = *at;
    ASSERT_FALSE(same_key(other) && !order.redriven && !order.to_sink)
        << lane << ": " << sequence << " while " << other.sequence << " is in flight";
  }
  for (const DeliveryKey& ghost : ghosts_) {
    ASSERT_FALSE(same_key(ghost)) << lane << ": " << sequence << " while " << ghost.sequence
                                  << " of before the crash may run";
  }
  int looked_at = 0;
  for (Sequence earlier = sequence; --earlier > 0 && looked_at < 12;) {
    if (KeyOf(earlier) != key || !MatchesLane(lane, earlier)) continue;
    ++looked_at;
    const auto found = engine_->Find({lane, earlier});
    const bool redriven = redriven_.contains({lane, earlier});
    ASSERT_TRUE(found->place == DeliveryPlace::kDone || found->to_sink || redriven)
        << lane << ": " << sequence << " before " << earlier;
  }
}

void EngineWorld::CheckLimits() {
  std::set<std::pair<std::string, Sequence>> calls;
  std::map<std::string, int> of_lane;
  for (const auto& [key, first] : call_of_) {
    if (!calls.emplace(key.uid, first).second) continue;
    ++of_lane[key.uid];
  }
  std::size_t counted = 0;
  for (const auto& [lane, count] : of_lane) {
    if (SubscriptionOfLane(lane) != "pull") counted += static_cast<std::size_t>(count);
    ASSERT_LE(count, 5) << lane;  // The highest in_flight_max there is.
  }
  ASSERT_LE(counted, kCapacity);
  ASSERT_EQ(engine_->in_flight(), sent_.size());
}

void EngineWorld::CheckDead(const DeadDelivery& dead) {
  ASSERT_LE(dead.log.size(), options_.attempt_log_max);
  ASSERT_TRUE(MatchesLane(dead.key.uid, dead.key.sequence));
  const std::string subscription(SubscriptionOfLane(dead.key.uid));
  if (dead.reason == DeadReason::kAttemptsExhausted && subscription != "sink" &&
      subscription != "keysink") {
    ASSERT_GE(dead.attempts, 2) << dead.key.Id();
  }
  if (subscription == "block") {
    ASSERT_TRUE(KeyOf(dead.key.sequence) == 0 || dead.redrives > 0) << dead.key.Id();
  }
}

bool EngineWorld::IsDone(const std::string& lane, Sequence sequence) const {
  const DeliveryKey key{lane, sequence};
  return acknowledged_.contains(key) || dead_.contains(key);
}

// The lowest event that is not done, or one above the head. Nothing that is done is ever undone.
Sequence EngineWorld::FirstOpen(const std::string& lane) {
  Sequence& open = first_open_.try_emplace(lane, 1).first->second;
  while (open <= head_ && (!MatchesLane(lane, open) || IsDone(lane, open))) ++open;
  return open;
}

// What a restart from the durable state would never send again must be done.
void EngineWorld::CheckNothingIsForgotten() {
  for (const std::string& lane : Lanes()) {
    const auto at = durable_.cursors.find(lane);
    const auto replay = replays_.find(lane);
    Sequence floor = durable_.matched_through;
    std::set<Sequence> claimed;
    if (at != durable_.cursors.end()) {
      floor = at->second.floor;
      claimed = {at->second.acked.begin(), at->second.acked.end()};
    } else if (replay != replays_.end()) {
      floor = replay->second.done ? replay->second.replay.to : replay->second.replay.from - 1;
    }
    for (Sequence s = FirstOpen(lane); s <= head_; ++s) {
      if (!MatchesLane(lane, s) || (s > floor && !claimed.contains(s))) continue;
      ASSERT_TRUE(IsDone(lane, s) || durable_rows_[lane].contains(s))
          << lane << "-" << s << " would be lost by a restart";
    }
  }
}

bool EngineWorld::Finished() {
  if (matched_ < head_) return false;
  for (const std::string& lane : Lanes()) {
    if (FirstOpen(lane) <= head_) return false;
  }
  for (const auto& [lane, replay] : replays_) {
    if (!replay.done) return false;
  }
  return true;
}

std::string EngineWorld::Unfinished() const {
  std::string text;
  for (const std::string& lane : Lanes()) {
    const auto progress = engine_->Progress(lane);
    if (!progress) {
      text += "\n" + lane + ": gone; open:";
    } else {
      text += "\n" + lane + ": floor " + std::to_string(progress->floor) + ", in flight " +
              std::to_string(progress->in_flight) + ", retrying " +
              std::to_string(progress->retrying) + ", waiting " +
              std::to_string(progress->waiting) + ", held " + std::to_string(progress->held) +
              ", block " + std::to_string(static_cast<int>(progress->block)) +
              (progress->catching_up ? ", catching up" : "") + "; open:";
    }
    for (Sequence s = 1; s <= head_; ++s) {
      if (MatchesLane(lane, s) && !IsDone(lane, s)) text += " " + std::to_string(s);
    }
  }
  return text;
}

}  // namespace penstock::broker
