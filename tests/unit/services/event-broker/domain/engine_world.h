// A naive world around the engine: a log, a store, executors that fail, run on after a crash and
// answer in any order. It checks after every step what the engine promises.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

class EngineWorld {
 public:
  explicit EngineWorld(std::uint64_t seed);

  // Random inputs, then an end of all faults: everything has to come to an end.
  void Run(int steps);
  // Of everything the engine gave out: the same for the same seed.
  std::uint64_t digest() const { return digest_; }

 private:
  struct StoredReplayState {
    DeliveryEngine::Replay replay;
    bool done = false;
  };

  static const std::vector<std::string>& Uids();
  static bool Matches(std::string_view uid, Sequence sequence);
  bool MatchesLane(const std::string& lane, Sequence sequence) const;
  static std::uint64_t KeyOf(Sequence sequence) { return sequence % 5 == 0 ? 0 : 1 + sequence % 3; }
  Position PositionOf(Sequence sequence) const;
  DeliverySettings FirstSettings(const std::string& uid) const;

  EngineTime now() const { return {wall_, monotonic_}; }
  bool Chance(double p) { return random_.Unit() < p; }
  std::size_t Pick(std::size_t count) {
    return static_cast<std::size_t>(random_.Unit() * static_cast<double>(count));
  }
  template <typename T>
  void Mix(T value) {
    digest_ = (digest_ ^ static_cast<std::uint64_t>(value)) * 0x100000001b3;
  }

  void Start();
  void Crash();
  void Step();
  void Operate();
  void AdvanceMatcher();
  void AdvanceTime(Microseconds by);
  void AnswerScan();
  void AnswerOne();
  void Answer(DeliveryKey key, DeliveryOutcome outcome);
  void EndGhosts(bool all);
  void ChangeSettings();
  void StartReplay();
  void RedriveSome();
  void PurgeSome();
  void Commit();
  void Collect();
  void TakeSend(const SendOrder& order);

  void CheckSend(const SendOrder& order, Sequence sequence);
  void CheckOrder(const std::string& lane, Sequence sequence);
  void CheckLimits();
  void CheckDead(const DeadDelivery& dead);
  void CheckNothingIsForgotten();
  bool IsDone(const std::string& lane, Sequence sequence) const;
  std::vector<std::string> Lanes() const;
  Sequence FirstOpen(const std::string& lane);
  bool Finished();
  std::string Unfinished() const;

  static constexpr std::size_t kCapacity = 9;

  Random random_;
  EngineOptions options_;
  std::map<std::string, DeliverySettings> settings_;
  std::optional<DeliveryEngine> engine_;
  EngineOutput out_;
  std::vector<ScanOrder> scans_;
  std::map<DeliveryKey, SendOrder> sent_;    // Under way, by event.
  std::map<DeliveryKey, Sequence> call_of_;  // The first event of its call.
  std::multiset<DeliveryKey> ghosts_;        // Calls of engines that crashed.
  bool settled_ = false;
  std::map<std::string, std::size_t> credit_;
  std::optional<StateTransaction> committing_;
  Sequence head_ = 0;
  Sequence matched_ = 0;
  WallTime wall_ = FromUnixMicros(1'700'000'000'000'000);
  MonotonicTime monotonic_{std::chrono::hours(1)};
  bool faults_ = true;
  std::uint64_t digest_ = 0xcbf29ce484222325;

  SavedDeliveryState durable_;
  std::map<std::string, std::map<Sequence, RetryRow>> durable_rows_;
  std::map<DeliveryKey, DeadDelivery> letters_;
  std::map<std::string, StoredReplayState> replays_;
  std::set<DeliveryKey> acknowledged_;  // Whole events: of groups, the last member.
  std::set<DeliveryKey> dead_;          // Ever durably dead.
  std::set<DeliveryKey> redriven_;      // Ever.
  std::map<std::string, Sequence> first_open_;
};

}  // namespace penstock::broker
