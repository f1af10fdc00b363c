// A seeded run of the engine against a naive world: log, store and targets that fail, crashes that
// lose everything since the last durable transaction. Whatever happens, every matched event ends up
// acknowledged or dead, and no transaction lets a floor pass an event that is neither.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    options_.window = 8;
    options_.acked_max = 6;
    options_.rows_max = 12;
    options_.seed = seed;
    settings_.retry.attempts_max = 3;
    settings_.in_flight_max = 5;
    Start();
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) Step();
    // Faults stop: now everything has to come to an end.
    for (int i = 0; i < 20'000 && !Finished(); ++i) {
      AnswerAll(DeliveryOutcome::kSucceeded);
      Advance(50ms);
      Tick();
      CommitIfAny();
    }
    ASSERT_TRUE(Finished()) << "acknowledged " << acknowledged_.size() << ", dead " << dead_.size()
                            << Unfinished();
  }

 private:
  static inline const std::vector<std::string> kUids = {"a", "b", "c"};

  // Subscription "a" matches everything, "b" even sequences, "c" every fifth.
  static bool Matches(const std::string& uid, Sequence sequence) {
    return uid == "a" || (uid == "b" && sequence % 2 == 0) || (uid == "c" && sequence % 5 == 0);
  }

  bool Finished() const {
    for (const std::string& uid : kUids) {
      for (Sequence s = 1; s <= head_; ++s) {
        const DeliveryKey key{uid, s};
        if (Matches(uid, s) && !acknowledged_.contains(key) && !dead_.contains(key)) return false;
      }
    }
    return true;
  }

  std::string Unfinished() const {
    std::string text;
    for (const std::string& uid : kUids) {
      const SubscriptionProgress progress = *engine_->Progress(uid);
      text += "\n" + uid + ": floor " + std::to_string(progress.floor) + ", in flight " +
              std::to_string(progress.in_flight) + ", retrying " +
              std::to_string(progress.retrying) + ", waiting " + std::to_string(progress.waiting) +
              (progress.catching_up ? ", catching up" : "") + "; open:";
      for (Sequence s = 1; s <= head_; ++s) {
        const DeliveryKey key{uid, s};
        if (Matches(uid, s) && !acknowledged_.contains(key) && !dead_.contains(key)) {
          text += " " + std::to_string(s);
        }
      }
    }
    return text;
  }

  EngineTime now() const { return {wall_, monotonic_}; }
  void Advance(Microseconds by) {
    wall_ += by;
    monotonic_ += by;
  }
  bool Chance(double p) { return random_.Unit() < p; }

  void Start() {
    engine_.emplace(options_, durable_.matched_through);
    out_ = {};
    sent_.clear();
    committing_.reset();
    for (const std::string& uid : kUids) {
      const auto cursor = durable_.cursors.find(uid);
      std::vector<RetryRow> rows;
      for (const auto& [sequence, row] : durable_rows_[uid]) rows.push_back(row);
      engine_->Restore(uid, settings_, cursor == durable_.cursors.end() ? nullptr : &cursor->second,
                       rows, now(), out_);
    }
    matched_ = durable_.matched_through;
    engine_->SetCapacity(7, now(), out_);
    Collect();
  }

  void Step() {
    const double dice = random_.Unit();
    if (dice < 0.35) {
      ++head_;
    } else if (dice < 0.55) {
      AdvanceMatcher();
    } else if (dice < 0.85) {
      AnswerOne();
    } else if (dice < 0.93) {
      Advance(Microseconds(static_cast<std::int64_t>(random_.Unit() * 400'000)));
      Tick();
    } else if (dice < 0.985) {
      CommitIfAny();
    } else {
      Start();  // A crash: the transaction on its way is lost or not, at random.
    }
  }

  void AdvanceMatcher() {
    std::vector<DeliveryEngine::Match> matches;
    const Sequence to = std::min(head_, matched_ + 1 + static_cast<Sequence>(random_.Unit() * 10));
    for (Sequence s = matched_ + 1; s <= to; ++s) {
      for (const std::string& uid : kUids) {
        if (Matches(uid, s)) matches.push_back({uid, {s, wall_}});
      }
    }
    matched_ = std::max(matched_, to);
    engine_->Matched(matches, matched_, now(), out_);
    Collect();
  }

  void Tick() {
    if (matched_ < head_) AdvanceMatcher();
    engine_->Tick(now(), out_);
    Collect();
  }

  void Answer(const SendOrder& order, DeliveryOutcome outcome) {
    if (outcome == DeliveryOutcome::kSucceeded) acknowledged_.insert(order.key);
    DeliveryResult result;
    result.key = order.key;
    result.attempt = order.attempt;
    result.outcome = outcome;
    engine_->Finished({result}, now(), out_);
  }

  void AnswerOne() {
    if (sent_.empty()) return;
    const std::size_t index = static_cast<std::size_t>(random_.Unit() * sent_.size());
    const SendOrder order = sent_[index];
    sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(index));
    const double dice = random_.Unit();
    Answer(order, dice < 0.6    ? DeliveryOutcome::kSucceeded
                  : dice < 0.85 ? DeliveryOutcome::kRetryable
                  : dice < 0.9  ? DeliveryOutcome::kPermanent
                  : dice < 0.95 ? DeliveryOutcome::kRejected
                                : DeliveryOutcome::kUnknown);
    Collect();
  }

  void AnswerAll(DeliveryOutcome outcome) {
    for (const SendOrder& order : std::exchange(sent_, {})) Answer(order, outcome);
    Collect();
  }

  void Collect() {
    while (!out_.scans.empty()) {
      for (const ScanOrder& scan : std::exchange(out_.scans, {})) {
        std::vector<Position> positions;
        Sequence next = scan.from;
        for (; next <= scan.to && positions.size() < scan.positions_max; ++next) {
          if (Matches(scan.uid, next)) positions.push_back({next, wall_});
        }
        engine_->Scanned(scan.uid, positions, next, now(), out_);
      }
    }
    for (const SendOrder& order : std::exchange(out_.sends, {})) {
      ++in_flight_seen_[order.key];
      sent_.push_back(order);
    }
    ASSERT_LE(sent_.size(), 7u) << "more in flight than the capacity";
    if (out_.transaction) {
      ASSERT_FALSE(committing_) << "two transactions at a time";
      committing_ = std::exchange(out_.transaction, std::nullopt);
    }
  }

  void CommitIfAny() {
    if (!committing_) return;
    const StateTransaction transaction = *std::exchange(committing_, std::nullopt);
    durable_.matched_through = transaction.matched_through;
    for (const auto& [uid, cursor] : transaction.cursors) durable_.cursors[uid] = cursor;
    for (const std::string& uid : transaction.cursors_removed) durable_.cursors.erase(uid);
    for (const auto& [uid, row] : transaction.rows) durable_rows_[uid][row.position.sequence] = row;
    for (const DeliveryKey& key : transaction.rows_removed)
      durable_rows_[key.uid].erase(key.sequence);
    for (const DeadDelivery& dead : transaction.dead) dead_.insert(dead.key);
    CheckNothingIsForgotten();
    engine_->Persisted(now(), out_);
    Collect();
  }

  // What a restart from the durable state would never send again must be done.
  void CheckNothingIsForgotten() {
    for (const std::string& uid : kUids) {
      const auto at = durable_.cursors.find(uid);
      const Sequence floor =
          at == durable_.cursors.end() ? durable_.matched_through : at->second.floor;
      std::set<Sequence> claimed;
      if (at != durable_.cursors.end())
        claimed = {at->second.acked.begin(), at->second.acked.end()};
      for (Sequence s = 1; s <= head_; ++s) {
        if (!Matches(uid, s) || (s > floor && !claimed.contains(s))) continue;
        const DeliveryKey key{uid, s};
        ASSERT_TRUE(acknowledged_.contains(key) || dead_.contains(key) ||
                    durable_rows_[uid].contains(s))
            << key.Id() << " would be lost by a restart";
      }
    }
  }

  Random random_;
  EngineOptions options_;
  DeliverySettings settings_;
  std::optional<DeliveryEngine> engine_;
  EngineOutput out_;
  std::vector<SendOrder> sent_;
  std::optional<StateTransaction> committing_;
  Sequence head_ = 0;
  Sequence matched_ = 0;
  WallTime wall_ = FromUnixMicros(1'700'000'000'000'000);
  MonotonicTime monotonic_{1h};

  SavedDeliveryState durable_;
  std::map<std::string, std::map<Sequence, RetryRow>> durable_rows_;
  std::set<DeliveryKey> acknowledged_;
  std::set<DeliveryKey> dead_;
  std::map<DeliveryKey, int> in_flight_seen_;
};

TEST(EngineCrashTest, NothingIsLostOverCrashesAndFailures) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World(seed).Run(1500);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace penstock::broker
