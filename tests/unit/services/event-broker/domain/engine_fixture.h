// Drives the engine by hand: every step of a test is one input.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/domain/delivery/engine.h"

namespace penstock::broker {

// Sends as text: "a-1#2" is the second attempt of event 1 of the lane "a". "+2+3" are the others of
// its batch, "@1" a member of a group, "!" goes to the dead-letter sink, "*" is redriven.
using Sends = std::vector<std::string>;

class EngineTest : public testing::Test {
 protected:
  // Another engine than the usual one: empty, settled, with room for 100 calls.
  void Restart(EngineOptions options, Sequence matched_through = 0) {
    engine_.emplace(options, matched_through);
    out_ = {};
  }
  void SetUp() override { Begin({}); }
  void Begin(EngineOptions options, std::size_t capacity = 100) {
    options.breaker.failures_min = breaker_failures_;
    Restart(options);
    engine_->Settled(now(), out_);
    engine_->SetCapacity(capacity, now(), out_);
  }

  EngineTime now() const { return {wall_, monotonic_}; }
  void Advance(Microseconds by) {
    wall_ += by;
    monotonic_ += by;
    engine_->Tick(now(), out_);
  }
  void Add(const std::string& uid, const DeliverySettings& settings = {},
           std::optional<Sequence> from = {}) {
    engine_->Add(uid, settings, from, now(), out_);
  }
  void Append(const std::string& uid, Sequence sequence, std::uint64_t key = 0) {
    engine_->Matched({{uid, {sequence, wall_, key, 100}}}, sequence, now(), out_);
  }
  void Finish(const std::string& uid, Sequence sequence, int attempt, DeliveryOutcome outcome,
              std::optional<Microseconds> retry_after = {}) {
    DeliveryResult result;
    result.key = {uid, sequence};
    result.attempt = attempt;
    result.outcome = outcome;
    result.error = {"FunctionError", "Boom", "it broke"};
    result.retry_after = retry_after;
    engine_->Finished({result}, now(), out_);
  }
  void Succeed(const std::string& uid, Sequence sequence, int attempt = 1) {
    Finish(uid, sequence, attempt, DeliveryOutcome::kSucceeded);
  }
  void Fail(const std::string& uid, Sequence sequence, int attempt = 1) {
    Finish(uid, sequence, attempt, DeliveryOutcome::kRetryable);
  }
  // As if the target were ill.
  void FailTarget(const std::string& uid, Sequence sequence, int attempt = 1) {
    DeliveryResult result;
    result.key = {uid, sequence};
    result.attempt = attempt;
    result.outcome = DeliveryOutcome::kRetryable;
    result.error = {"SystemError", "Refused", "connection refused"};
    engine_->Finished({result}, now(), out_);
  }
  // Answers a scan with every sequence in it, all of one key.
  void AnswerScan(std::uint64_t key = 0) {
    ASSERT_EQ(out_.scans.size(), 1u);
    const ScanOrder scan = out_.scans[0];
    out_.scans.clear();
    std::vector<Position> positions;
    Sequence next = scan.from;
    while (next <= scan.to && positions.size() < scan.positions_max) {
      positions.push_back({next++, wall_, key, 100});
    }
    engine_->Scanned(scan.uid, positions, next, now(), out_);
  }
  Sends TakeSends() {
    Sends sends;
    for (const SendOrder& order : out_.sends) {
      std::string text = order.key.Id() + "#" + std::to_string(order.attempt);
      for (const Sequence sequence : order.batch) text += "+" + std::to_string(sequence);
      if (order.member > 0) text += "@" + std::to_string(order.member);
      if (order.to_sink) text += "!";
      if (order.redriven) text += "*";
      sends.push_back(std::move(text));
    }
    out_.sends.clear();
    return sends;
  }
  // Commits what there is; of several transactions, dead letters and rows come together.
  StateTransaction Flush() {
    StateTransaction all;
    for (bool more = true; more;) {
      if (!out_.transaction) engine_->Flush(now(), out_);
      more = out_.transaction.has_value();
      if (!more) break;
      StateTransaction one = *std::exchange(out_.transaction, std::nullopt);
      one.dead.insert(one.dead.begin(), all.dead.begin(), all.dead.end());
      one.rows.insert(one.rows.begin(), all.rows.begin(), all.rows.end());
      all = std::move(one);
      engine_->Persisted(now(), out_);
    }
    return all;
  }
  const EngineCounters& counters() const { return engine_->counters(); }
  SubscriptionProgress Progress(const std::string& uid) const { return *engine_->Progress(uid); }

  static DeliverySettings ToTarget(const std::string& target) {
    DeliverySettings settings;
    settings.targets = {target};
    settings.retry.jitter = 0;
    return settings;
  }
  static DeliverySettings Ordered(OnExhausted on_exhausted = OnExhausted::kContinue) {
    DeliverySettings settings;
    settings.ordered = true;
    settings.on_exhausted = on_exhausted;
    settings.retry.attempts_max = 2;
    settings.retry.jitter = 0;
    return settings;
  }

  int breaker_failures_ = 3;
  std::optional<DeliveryEngine> engine_;
  EngineOutput out_;
  WallTime wall_ = FromUnixMicros(1'700'000'000'000'000);
  MonotonicTime monotonic_{std::chrono::hours(1)};
};

}  // namespace penstock::broker
