// What a function server has seen, and whether its order was right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace penstock::testing {

// One call as it arrives. Without a delivery id it counts, and is not judged.
struct Arrival {
  std::string_view event_id;
  std::string_view delivery_id;
  std::string_view key;
  int attempt = 0;
  std::int64_t sent_micros = 0;  // When the event was published; 0 when it does not say.
  // Whether the caller has gone, told or not. Asked until the call's end; may be empty: it has not.
  std::function<bool()> is_caller_gone = {};
};

enum class CallEnd : std::uint8_t { kRunning, kSucceeded, kFailed, kHung, kGone };

// Not thread-safe. README.md says what each number means.
class Ledger {
 public:
  static constexpr std::size_t kCallsMax = 4'000'000;
  static constexpr std::size_t kViolationsMax = 1'000;
  static constexpr std::size_t kCallsPerPage = 10'000;

  // The number of the call, to end it by. Times are microseconds since 1970.
  std::uint64_t Begin(const Arrival& arrival, std::int64_t now_micros);
  void End(std::uint64_t call, CallEnd how, std::int64_t now_micros);
  void Reset();

  // The answers of the server.
  std::string Counts() const;
  std::string Ids() const;
  std::string Latencies() const;
  std::string Unsuccessful() const;
  std::string Passed() const;
  std::string Violations() const;
  std::string Calls(std::uint64_t from) const;
  // Those of `event_ids`, one a line, that never succeeded.
  std::string Missing(std::string_view event_ids) const;

 private:
  struct Event {
    std::uint32_t calls = 0;
    std::uint32_t succeeded = 0;
  };
  struct Delivery {
    std::uint32_t calls = 0;
    std::uint32_t succeeded = 0;
    std::uint32_t failed = 0;
    std::uint32_t hung = 0;
    std::uint32_t gone = 0;
    bool passed = false;
  };
  struct Key {
    std::uint64_t newest = 0;                 // The highest sequence that had a first delivery.
    std::vector<std::uint64_t> running;       // Calls, but those that were found to have no caller.
    std::map<std::uint64_t, Delivery*> open;  // Begun, and without a success; not yet passed.
  };
  struct Lane {
    std::string name;
    std::unordered_map<std::uint64_t, Delivery> deliveries;  // Nodes stay where they are.
    std::unordered_map<std::string, Key> keys;
  };
  struct Running {
    Event* event = nullptr;
    Delivery* delivery = nullptr;
    Key* key = nullptr;
    std::uint64_t sequence = 0;
    std::uint64_t row = 0;
    std::function<bool()> is_caller_gone;

    bool HasCaller() const { return !is_caller_gone || !is_caller_gone(); }
  };
  struct Row {
    const Lane* lane = nullptr;
    const std::string* key = nullptr;
    std::uint64_t sequence = 0;
    std::int64_t start_micros = 0;
    std::int64_t end_micros = 0;
    std::int32_t attempt = 0;
    CallEnd end = CallEnd::kRunning;
  };
  struct Totals {
    std::uint64_t calls = 0;
    std::uint64_t by_end[5] = {};
    std::uint64_t deliveries = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t overlaps = 0;
    std::uint64_t abandoned = 0;
    std::uint64_t inversions = 0;
    std::uint64_t passed = 0;
    std::uint64_t step_backs = 0;
  };

  Lane& LaneOf(std::string_view name);
  void Judge(Lane& lane, std::string_view key_name, Key& key, Running& call);
  void JudgeOverlap(const Lane& lane, std::string_view key_name, Key& key, const Running& call);
  void AddViolation(const char* what, const Lane& lane, std::string_view key,
                    std::uint64_t sequence, std::uint64_t newest);

  std::unordered_map<std::string, Event> events_;
  std::map<std::string, std::unique_ptr<Lane>, std::less<>> lanes_;
  std::unordered_map<std::uint64_t, Running> running_;
  std::deque<Row> rows_;
  std::vector<std::int64_t> latencies_;
  std::vector<std::string> violations_;
  Totals totals_;
  std::uint64_t next_call_ = 1;
};

}  // namespace penstock::testing
