// Time, chance and the record of what happened, of one simulated run.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/fake_clock.h"
#include "services/event-broker/domain/delivery/retry.h"

namespace penstock::broker::sim {

// Draws that are the same on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t Next() { return random_.Next(); }
  // 0 to n - 1.
  int Below(int n) { return static_cast<int>(random_.Next() % static_cast<std::uint64_t>(n)); }
  int Between(int low, int high) { return low + Below(high - low + 1); }
  bool Chance(double probability) { return random_.Unit() < probability; }
  Microseconds Delay(std::int64_t low_micros, std::int64_t high_micros) {
    const auto span = static_cast<std::uint64_t>(high_micros - low_micros + 1);
    return Microseconds(low_micros + static_cast<std::int64_t>(random_.Next() % span));
  }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(Below(static_cast<int>(from.size())))];
  }

 private:
  Random random_;
};

// One thread runs what is due, in order of time. Every line that is noted goes into the digest.
class World {
 public:
  World(std::uint64_t seed, bool trace) : dice(seed), trace_(trace) {}

  FakeClock clock;
  Dice dice;

  void After(Microseconds delay, std::function<void()> what) {
    due_.emplace(std::pair(clock.Monotonic() + delay, ++count_), std::move(what));
  }
  // Runs what is due next, unless that is later than `until`; then the time is `until`.
  bool RunNext(MonotonicTime until) {
    if (due_.empty() || due_.begin()->first.first > until) {
      clock.Advance(until - clock.Monotonic());
      return false;
    }
    auto next = due_.extract(due_.begin());
    clock.Advance(next.key().first - clock.Monotonic());
    ++steps_;
    next.mapped()();
    return true;
  }

  // Nothing that is due happens any more.
  void End() { due_.clear(); }

  template <typename... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    const std::string line = fmt::format(format, std::forward<Args>(args)...);
    const std::int64_t now = clock.Monotonic().time_since_epoch().count();
    for (const char c : line) Mix(static_cast<unsigned char>(c));
    Mix(static_cast<std::uint64_t>(now));
    if (trace_) fmt::print("{:>12.6f}  {}\n", static_cast<double>(now) / 1e6 - 1000, line);
  }
  // A promise was broken. The first one ends the run.
  template <typename... Args>
  void Violation(fmt::format_string<Args...> format, Args&&... args) {
    std::string line = fmt::format(format, std::forward<Args>(args)...);
    Note("VIOLATION {}", line);
    if (violation_.empty()) violation_ = std::move(line);
  }

  const std::string& violation() const { return violation_; }
  std::uint64_t digest() const { return digest_; }
  std::uint64_t steps() const { return steps_; }

 private:
  void Mix(std::uint64_t value) {
    digest_ = (digest_ ^ value) * 0x100000001b3;
    digest_ ^= digest_ >> 29;
  }

  std::map<std::pair<MonotonicTime, std::uint64_t>, std::function<void()>> due_;
  std::uint64_t count_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325;
  std::string violation_;
  const bool trace_;
};

}  // namespace penstock::broker::sim
