#include "tests/unit/services/event-broker/domain/engine_world.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

}  // namespace

const std::vector<std::string>& EngineWorld::Uids() {
  static const std::vector<std::string> uids = {"batch",   "block", "deadkey", "first", "key",
                                                "keysink", "plain", "pull",    "seq",   "sink"};
  return uids;
}

// Each subscription matches another part of the log.
bool EngineWorld::Matches(std::string_view uid, Sequence sequence) {
  if (uid == "plain" || uid == "key" || uid == "batch") return true;
  return (sequence * 7 + uid.size() * 3 + static_cast<Sequence>(uid[0])) % 3 != 0;
}

bool EngineWorld::MatchesLane(const std::string& lane, Sequence sequence) const {
  if (const auto replay = replays_.find(lane); replay != replays_.end()) {
    if (sequence < replay->second.replay.from || sequence > replay->second.replay.to) return false;
  }
  return Matches(SubscriptionOfLane(lane), sequence);
}

Position EngineWorld::PositionOf(Sequence sequence) const {
  return {sequence, FromUnixMicros(1'700'000'000'000'000), KeyOf(sequence), 100};
}

DeliverySettings EngineWorld::FirstSettings(const std::string& uid) const {
  DeliverySettings settings;
  settings.space = uid.size() % 2 == 0 ? "s1" : "s2";
  settings.targets = {"f-" + uid.substr(0, 1)};
  settings.retry.attempts_max = 3;
  settings.retry.delay_initial = 100ms;
  settings.in_flight_max = 4;
  settings.held_max = 6;
  if (uid == "key" || uid == "block" || uid == "deadkey" || uid == "keysink") {
    settings.ordered = true;
  }
  if (uid == "block") settings.on_exhausted = OnExhausted::kBlock;
  if (uid == "deadkey") settings.on_exhausted = OnExhausted::kDeadLetterKey;
  if (uid == "sink" || uid == "keysink") {
    settings.has_sink = true;
    if (uid == "sink") settings.sink_function = "f-sink";
  }
  if (uid == "seq" || uid == "first") {
    settings.targets = {"g1", "g2", "g3"};
    settings.first_success = uid == "first";
  }
  if (uid == "batch") {
    settings.batch = {4, 50ms};
    settings.rate = RateLimit{200, 6};
  }
  if (uid == "pull") {
    settings.pull = true;
    settings.targets.clear();
  }
  return settings;
}

EngineWorld::EngineWorld(std::uint64_t seed) : random_(seed) {
  options_.window = 8;
  options_.acked_max = 6;
  options_.rows_max = 12;
  options_.seed = seed;
  options_.dead_letters_max = 25;
  options_.quantum_bytes = 1000;
  options_.breaker.failures_min = 6;
  options_.breaker.open_first = 300ms;
  options_.target_window_first = 4;
  for (const std::string& uid : Uids()) settings_[uid] = FirstSettings(uid);
  Start();
}

std::vector<std::string> EngineWorld::Lanes() const {
  std::vector<std::string> lanes = Uids();
  for (const auto& [lane, replay] : replays_) lanes.push_back(lane);
  return lanes;
}

void EngineWorld::Run(int steps) {
  for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) Step();
  faults_ = false;
  for (auto& [uid, settings] : settings_) {
    settings.paused = false;
    settings.drain_to = kNoSequence;
    engine_->ChangeSettings(uid, settings, now(), out_);
  }
  for (auto& [lane, replay] : replays_) {
    replay.replay.paused = false;
    engine_->SetReplayPaused(lane, false, now(), out_);
  }
  for (int i = 0; i < 5000 && !testing::Test::HasFatalFailure(); ++i) {
    EndGhosts(true);
    for (const auto& [key, order] : std::map(sent_)) Answer(key, DeliveryOutcome::kSucceeded);
    while (!scans_.empty()) AnswerScan();
    AdvanceMatcher();
    credit_["pull"] = 4;
    engine_->SetCredit("pull", 4, now(), out_);
    AdvanceTime(100ms);
    PurgeSome();
    Commit();
    if (Finished()) return;
  }
  ASSERT_TRUE(Finished()) << Unfinished();
}

void EngineWorld::Start() {
  engine_.emplace(options_, durable_.matched_through);
  out_ = {};
  scans_.clear();
  sent_.clear();
  call_of_.clear();
  credit_.clear();
  committing_.reset();
  settled_ = false;
  std::map<std::string, SavedDeliveryState::DeadCount> dead;
  for (const auto& [key, letter] : letters_) {
    SavedDeliveryState::DeadCount& count = dead[key.uid];
    ++count.letters;
    count.bytes += 100;
    if (letter.ordering_key != 0 && letter.redrives == 0 &&
        letter.reason != DeadReason::kKeyFailed) {
      count.failed_keys.emplace(letter.ordering_key, key.sequence);
    }
  }
  const auto rows_of = [&](const std::string& lane) {
    std::vector<RetryRow> rows;
    for (const auto& [sequence, row] : durable_rows_[lane]) rows.push_back(row);
    return rows;
  };
  for (const std::string& uid : Uids()) {
    const auto cursor = durable_.cursors.find(uid);
    engine_->Restore(uid, settings_.at(uid),
                     cursor == durable_.cursors.end() ? nullptr : &cursor->second, rows_of(uid),
                     now(), out_);
  }
  for (const auto& [lane, stored] : replays_) {
    if (stored.done) {
      engine_->RestoreEndedReplay(lane, rows_of(lane), now(), out_);
      continue;
    }
    DeliveryEngine::Replay replay = stored.replay;
    const auto cursor = durable_.cursors.find(lane);
    if (cursor != durable_.cursors.end()) replay.cursor = &cursor->second;
    replay.rows = rows_of(lane);
    engine_->AddReplay(replay, now(), out_);
  }
  for (const auto& [lane, count] : dead) engine_->RestoreDead(lane, count, now(), out_);
  matched_ = durable_.matched_through;
  engine_->SetCapacity(kCapacity, now(), out_);
  EndGhosts(false);
  Collect();
}

// Loses everything since the last transaction that is durable. Calls go on without a master.
void EngineWorld::Crash() {
  for (const auto& [key, order] : sent_) ghosts_.insert(key);
  Start();
}

void EngineWorld::Step() {
  const double dice = random_.Unit();
  if (dice < 0.25) {
    ++head_;
  } else if (dice < 0.37) {
    AdvanceMatcher();
  } else if (dice < 0.73) {
    AnswerOne();
  } else if (dice < 0.80) {
    AdvanceTime(Microseconds(static_cast<std::int64_t>(random_.Unit() * 400'000)));
  } else if (dice < 0.87) {
    Commit();
  } else if (dice < 0.94) {
    AnswerScan();
  } else if (dice < 0.995) {
    Operate();
  } else {
    Crash();
  }
}

void EngineWorld::AdvanceMatcher() {
  std::vector<DeliveryEngine::Match> matches;
  const Sequence to = std::min(head_, matched_ + 1 + Pick(10));
  for (Sequence s = matched_ + 1; s <= to; ++s) {
    for (const std::string& uid : Uids()) {
      if (Matches(uid, s)) matches.push_back({uid, PositionOf(s)});
    }
  }
  matched_ = std::max(matched_, to);
  engine_->Matched(matches, matched_, now(), out_);
  Collect();
}

void EngineWorld::AdvanceTime(Microseconds by) {
  monotonic_ += by;
  // The wall clock steps a little now and then, but not so far that events expire.
  wall_ += faults_ && Chance(0.1) ? -by : by;
  engine_->Tick(now(), out_);
  Collect();
  for (int i = 0; out_.wake_at && *out_.wake_at <= monotonic_ && !committing_; ++i) {
    ASSERT_LT(i, 50) << "the engine asks to be woken again and again";
    engine_->Tick(now(), out_);
    Collect();
  }
}

void EngineWorld::AnswerScan() {
  if (scans_.empty()) return;
  const auto at = scans_.begin() + static_cast<std::ptrdiff_t>(Pick(scans_.size()));
  const ScanOrder scan = *at;
  scans_.erase(at);
  std::vector<Position> positions;
  Sequence next = scan.from;
  for (; next <= scan.to && positions.size() < scan.positions_max; ++next) {
    if (Matches(SubscriptionOfLane(scan.uid), next)) positions.push_back(PositionOf(next));
  }
  engine_->Scanned(scan.uid, positions, next, now(), out_);
  Collect();
}

void EngineWorld::AnswerOne() {
  if (sent_.empty()) return;
  auto at = sent_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(Pick(sent_.size())));
  const double dice = random_.Unit();
  Answer(at->first, dice < 0.6    ? DeliveryOutcome::kSucceeded
                    : dice < 0.85 ? DeliveryOutcome::kRetryable
                    : dice < 0.9  ? DeliveryOutcome::kPermanent
                    : dice < 0.95 ? DeliveryOutcome::kRejected
                                  : DeliveryOutcome::kUnknown);
}

void EngineWorld::Answer(DeliveryKey key, DeliveryOutcome outcome) {
  const SendOrder order = sent_.at(key);
  sent_.erase(key);
  call_of_.erase(key);
  DeliveryResult result;
  result.key = key;
  result.attempt = order.attempt;
  result.outcome = outcome;
  if (Chance(0.5)) result.error.category = "SystemError";
  const DeliverySettings& settings = settings_.at(std::string(SubscriptionOfLane(key.uid)));
  const bool last = settings.first_success || order.to_sink ||
                    order.member + 1 >= static_cast<int>(settings.targets.size());
  if (outcome == DeliveryOutcome::kSucceeded && last) acknowledged_.insert(key);
  engine_->Finished({result}, now(), out_);
  Collect();
}

void EngineWorld::EndGhosts(bool all) {
  std::multiset<DeliveryKey> left;
  for (const DeliveryKey& key : ghosts_) {
    if (!all && Chance(0.5)) left.insert(key);
  }
  ghosts_ = std::move(left);
  if (!ghosts_.empty() || settled_) return;
  settled_ = true;
  engine_->Settled(now(), out_);
  Collect();
}

void EngineWorld::Collect() {
  for (ScanOrder& scan : std::exchange(out_.scans, {})) {
    Mix(scan.from);
    scans_.push_back(std::move(scan));
  }
  for (const SendOrder& order : std::exchange(out_.sends, {})) TakeSend(order);
  CheckLimits();
  for (const std::string& uid : std::exchange(out_.drained, {})) {
    ASSERT_EQ(engine_->Progress(uid)->in_flight, 0u) << uid;
    ASSERT_EQ(engine_->Progress(uid)->waiting, 0u) << uid;
    ASSERT_EQ(engine_->Progress(uid)->retrying, 0u) << uid;
  }
  if (!out_.transaction) return;
  ASSERT_FALSE(committing_) << "two transactions at a time";
  committing_ = std::exchange(out_.transaction, std::nullopt);
}

void EngineWorld::TakeSend(const SendOrder& order) {
  Mix(order.key.sequence * 31 + static_cast<Sequence>(order.attempt));
  CheckSend(order, order.key.sequence);
  for (const Sequence sequence : order.batch) CheckSend(order, sequence);
  if (order.batch.empty()) return;
  ASSERT_EQ(order.key.uid.substr(0, 5), "batch");
  ASSERT_LE(order.batch.size(), 3u);
}

void EngineWorld::Commit() {
  if (!committing_) return;
  const StateTransaction transaction = *std::exchange(committing_, std::nullopt);
  ASSERT_GE(transaction.matched_through, durable_.matched_through);
  durable_.matched_through = transaction.matched_through;
  Mix(transaction.matched_through);
  for (const auto& [lane, cursor] : transaction.replays_done) {
    replays_.at(lane).done = true;
    durable_.cursors.erase(lane);
    durable_rows_.erase(lane);
  }
  for (const auto& [uid, cursor] : transaction.cursors) {
    durable_.cursors[uid] = cursor;
    Mix(cursor.floor);
  }
  for (const std::string& uid : transaction.cursors_removed) {
    ASSERT_EQ(durable_.cursors.erase(uid), 1u) << "a cursor that the store does not have";
  }
  for (const auto& [uid, row] : transaction.rows) durable_rows_[uid][row.position.sequence] = row;
  for (const DeliveryKey& key : transaction.rows_removed) {
    ASSERT_EQ(durable_rows_[key.uid].erase(key.sequence), 1u)
        << key.Id() << ": a row that the store does not have";
  }
  for (const DeadDelivery& dead : transaction.dead) {
    CheckDead(dead);
    dead_.insert(dead.key);
    letters_[dead.key] = dead;
  }
  for (const DeliveryKey& key : transaction.dead_removed) {
    ASSERT_TRUE(acknowledged_.contains(key)) << key.Id();
    letters_.erase(key);
  }
  for (const auto& [lane, cursor] : transaction.replays_done) {
    std::uint64_t matching = 0;
    for (Sequence s = 1; s <= head_; ++s) matching += MatchesLane(lane, s) ? 1 : 0;
    ASSERT_EQ(cursor.matched, matching) << lane;
    ASSERT_EQ(cursor.delivered + cursor.dead, matching) << lane;
  }
  CheckNothingIsForgotten();
  engine_->Persisted(now(), out_);
  Collect();
}

}  // namespace penstock::broker
