// What people do to the world's subscriptions.
#include "tests/unit/services/event-broker/domain/engine_world.h"

namespace penstock::broker {

void EngineWorld::Operate() {
  const double dice = random_.Unit();
  if (dice < 0.3) {
    EndGhosts(false);
  } else if (dice < 0.5) {
    const std::size_t credit = Pick(5);
    credit_["pull"] = credit;
    engine_->SetCredit("pull", credit, now(), out_);
  } else if (dice < 0.65) {
    ChangeSettings();
  } else if (dice < 0.7) {
    StartReplay();
  } else if (dice < 0.85) {
    RedriveSome();
  } else if (dice < 0.95) {
    PurgeSome();
  } else if (!sent_.empty()) {
    // An answer for something else, and one of an attempt that was before.
    DeliveryResult late;
    late.key = {"plain", head_ + 1000};
    DeliveryResult early;
    early.key = sent_.begin()->first;
    early.attempt = sent_.begin()->second.attempt - 1;
    const std::size_t in_flight = engine_->in_flight();
    engine_->Finished({late, early}, now(), out_);
    ASSERT_GE(engine_->in_flight(), in_flight);
  }
  Collect();
}

void EngineWorld::ChangeSettings() {
  const std::string& uid = Uids()[Pick(Uids().size())];
  DeliverySettings& settings = settings_[uid];
  const double dice = random_.Unit();
  if (dice < 0.4) {
    settings.paused = !settings.paused && faults_;
  } else if (dice < 0.6) {
    settings.drain_to =
        settings.drain_to == kNoSequence ? matched_ / 2 + Pick(matched_ + 1) : kNoSequence;
  } else if (dice < 0.8) {
    settings.retry.attempts_max = 2 + static_cast<int>(Pick(3));
  } else {
    settings.in_flight_max = 1 + static_cast<int>(Pick(5));
  }
  engine_->ChangeSettings(uid, settings, now(), out_);
}

void EngineWorld::StartReplay() {
  if (matched_ < 4 || replays_.size() >= 3) return;
  StoredReplayState stored;
  stored.replay.uid = Uids()[Pick(Uids().size())];
  stored.replay.replay = "r" + std::to_string(replays_.size());
  stored.replay.from = 1 + Pick(matched_ / 2);
  stored.replay.to = stored.replay.from + Pick(matched_ / 2);
  if (Chance(0.3)) stored.replay.rate = RateLimit{50, 5};
  const std::string lane = ReplayLane(stored.replay.uid, stored.replay.replay);
  replays_[lane] = stored;
  engine_->AddReplay(stored.replay, now(), out_);
}

void EngineWorld::RedriveSome() {
  std::vector<DeliveryEngine::RedriveOrder> orders;
  for (const auto& [key, letter] : letters_) {
    if (Chance(0.7) || orders.size() >= 5) continue;
    redriven_.insert(key);
    orders.push_back({key, letter.append_time, letter.ordering_key, letter.redrives, 100});
  }
  engine_->Redrive(orders, Chance(0.5) ? 0 : 20, now(), out_);
}

void EngineWorld::PurgeSome() {
  std::map<std::string, std::vector<Sequence>> purged;
  for (auto at = letters_.begin(); at != letters_.end();) {
    const auto found = engine_->Find(at->first);
    // Those that are being redriven cannot be purged.
    const bool busy = found && found->place != DeliveryPlace::kDone;
    const bool listed = durable_rows_[at->first.uid].contains(at->first.sequence);
    if (busy || listed || Chance(0.6)) {
      ++at;
      continue;
    }
    purged[at->first.uid].push_back(at->first.sequence);
    at = letters_.erase(at);
  }
  for (const auto& [lane, sequences] : purged) {
    engine_->Purged(lane, sequences.size(), 100 * sequences.size(), now(), out_);
    engine_->FreeKeys(lane, sequences, now(), out_);
  }
  Collect();
}

}  // namespace penstock::broker
