#include "tests/support/function_server/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

namespace penstock::testing {
namespace {

constexpr std::uint64_t kNoRow = std::numeric_limits<std::uint64_t>::max();

const char* NameOf(CallEnd end) {
  constexpr const char* kNames[] = {"running", "succeeded", "failed", "hung", "gone"};
  return kNames[static_cast<std::size_t>(end)];
}

// "lane-7" gives the lane and 7; 0 when it is no delivery id.
std::uint64_t SplitDeliveryId(std::string_view id, std::string_view* lane) {
  const std::size_t dash = id.rfind('-');
  if (dash == std::string_view::npos) return 0;
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(id.data() + dash + 1, id.data() + id.size(), sequence);
  if (error != std::errc() || end != id.data() + id.size()) return 0;
  *lane = id.substr(0, dash);
  return sequence;
}

}  // namespace

Ledger::Lane& Ledger::LaneOf(std::string_view name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end()) return *found->second;
  auto lane = std::make_unique<Lane>();
  lane->name = std::string(name);
  return *lanes_.emplace(lane->name, std::move(lane)).first->second;
}

void Ledger::AddViolation(const char* what, const Lane& lane, std::string_view key,
                          std::uint64_t sequence, std::uint64_t newest) {
  if (violations_.size() >= kViolationsMax) return;
  violations_.push_back(fmt::format("{} lane={} key={} sequence={} newest={}", what, lane.name, key,
                                    sequence, newest));
}

std::uint64_t Ledger::Begin(const Arrival& arrival, std::int64_t now_micros) {
  const std::uint64_t number = next_call_++;
  ++totals_.calls;
  Running call;
  call.row = kNoRow;
  call.is_caller_gone = arrival.is_caller_gone;
  call.event = &events_[std::string(arrival.event_id)];
  if (++call.event->calls == 1 && arrival.sent_micros > 0) {
    latencies_.push_back(now_micros - arrival.sent_micros);
  }
  std::string_view lane_name;
  call.sequence = SplitDeliveryId(arrival.delivery_id, &lane_name);
  if (call.sequence > 0) {
    Lane& lane = LaneOf(lane_name);
    call.delivery = &lane.deliveries[call.sequence];
    if (call.delivery->calls == 0) ++totals_.deliveries;
    if (call.delivery->succeeded > 0) ++totals_.duplicates;
    const std::string* key_name = nullptr;
    if (!arrival.key.empty()) {
      auto& entry = *lane.keys.try_emplace(std::string(arrival.key)).first;
      key_name = &entry.first;
      call.key = &entry.second;
      JudgeOverlap(lane, entry.first, entry.second, call);
      Judge(lane, entry.first, entry.second, call);
      entry.second.running.push_back(number);
    }
    ++call.delivery->calls;
    if (rows_.size() < kCallsMax) {
      call.row = rows_.size();
      rows_.push_back(
          {&lane, key_name, call.sequence, now_micros, 0, arrival.attempt, CallEnd::kRunning});
    }
  }
  running_.emplace(number, std::move(call));
  return number;
}

// What is promised is that a call is sent when the one before has ended or its caller has closed
// the connection. Two connections are read in any order, so what is known of their ends is asked
// here.
void Ledger::JudgeOverlap(const Lane& lane, std::string_view key_name, Key& key,
                          const Running& call) {
  if (key.running.empty()) return;
  std::erase_if(key.running,
                [this](std::uint64_t number) { return !running_.at(number).HasCaller(); });
  // One that had lost its caller when it was read was sent before what runs now.
  if (key.running.empty() || !call.HasCaller()) {
    ++totals_.abandoned;
    return;
  }
  ++totals_.overlaps;
  AddViolation("overlap", lane, key_name, call.sequence, key.newest);
}

void Ledger::Judge(Lane& lane, std::string_view key_name, Key& key, Running& call) {
  const bool is_first = call.delivery->calls == 0;
  if (!is_first) {
    if (call.sequence < key.newest) ++totals_.step_backs;
    return;
  }
  if (call.sequence < key.newest) {
    ++totals_.inversions;
    AddViolation("inversion", lane, key_name, call.sequence, key.newest);
  }
  while (!key.open.empty() && key.open.begin()->first < call.sequence) {
    key.open.begin()->second->passed = true;
    ++totals_.passed;
    key.open.erase(key.open.begin());
  }
  key.open.emplace(call.sequence, call.delivery);
  key.newest = std::max(key.newest, call.sequence);
}

void Ledger::End(std::uint64_t call, CallEnd how, std::int64_t now_micros) {
  const auto found = running_.find(call);
  if (found == running_.end()) return;  // Of before a reset.
  const Running running = std::move(found->second);
  running_.erase(found);
  ++totals_.by_end[static_cast<std::size_t>(how)];
  if (how == CallEnd::kSucceeded) ++running.event->succeeded;
  if (running.row != kNoRow) {
    rows_[running.row].end_micros = now_micros;
    rows_[running.row].end = how;
  }
  if (running.delivery == nullptr) return;
  Delivery& delivery = *running.delivery;
  if (how == CallEnd::kSucceeded) ++delivery.succeeded;
  if (how == CallEnd::kFailed) ++delivery.failed;
  if (how == CallEnd::kHung) ++delivery.hung;
  if (how == CallEnd::kGone) ++delivery.gone;
  if (running.key == nullptr) return;
  std::erase(running.key->running, call);
  if (how == CallEnd::kSucceeded) running.key->open.erase(running.sequence);
}

void Ledger::Reset() { *this = Ledger(); }

std::string Ledger::Counts() const {
  const auto ended = [this](CallEnd end) { return totals_.by_end[static_cast<std::size_t>(end)]; };
  return fmt::format(
      R"({{"calls":{},"ids":{},"succeeded":{},"failed":{},"hung":{},"gone":{},"running":{},)"
      R"("deliveries":{},"duplicates":{},"overlaps":{},"abandoned":{},"inversions":{},)"
      R"("passed":{},"step_backs":{}}})",
      totals_.calls, events_.size(), ended(CallEnd::kSucceeded), ended(CallEnd::kFailed),
      ended(CallEnd::kHung), ended(CallEnd::kGone), running_.size(), totals_.deliveries,
      totals_.duplicates, totals_.overlaps, totals_.abandoned, totals_.inversions, totals_.passed,
      totals_.step_backs);
}

std::string Ledger::Ids() const {
  std::string text;
  for (const auto& [id, event] : events_) {
    fmt::format_to(std::back_inserter(text), "{} {}\n", id, event.calls);
  }
  return text;
}

std::string Ledger::Latencies() const {
  std::string text;
  for (const std::int64_t latency : latencies_) {
    fmt::format_to(std::back_inserter(text), "{}\n", latency);
  }
  return text;
}

std::string Ledger::Unsuccessful() const {
  std::string text;
  for (const auto& [name, lane] : lanes_) {
    for (const auto& [sequence, delivery] : lane->deliveries) {
      if (delivery.succeeded > 0) continue;
      fmt::format_to(std::back_inserter(text), "{}-{} {} {} {} {}\n", name, sequence,
                     delivery.calls, delivery.failed, delivery.hung, delivery.gone);
    }
  }
  return text;
}

std::string Ledger::Passed() const {
  std::string text;
  for (const auto& [name, lane] : lanes_) {
    for (const auto& [sequence, delivery] : lane->deliveries) {
      if (!delivery.passed) continue;
      fmt::format_to(std::back_inserter(text), "{}-{} {}\n", name, sequence, delivery.succeeded);
    }
  }
  return text;
}

std::string Ledger::Violations() const {
  std::string text;
  for (const std::string& violation : violations_) text += violation + "\n";
  return text;
}

std::string Ledger::Calls(std::uint64_t from) const {
  std::string text;
  const std::uint64_t end = std::min<std::uint64_t>(rows_.size(), from + kCallsPerPage);
  for (std::uint64_t i = from; i < end; ++i) {
    const Row& row = rows_[i];
    fmt::format_to(std::back_inserter(text), "{}-{} {} {} {} {} {}\n", row.lane->name, row.sequence,
                   row.attempt, row.key == nullptr ? "-" : *row.key, row.start_micros,
                   row.end_micros, NameOf(row.end));
  }
  return text;
}

std::string Ledger::Missing(std::string_view event_ids) const {
  std::string text;
  while (!event_ids.empty()) {
    const std::size_t end = event_ids.find('\n');
    const std::string id(event_ids.substr(0, end));
    event_ids.remove_prefix(end == std::string_view::npos ? event_ids.size() : end + 1);
    if (id.empty()) continue;
    const auto found = events_.find(id);
    if (found == events_.end() || found->second.succeeded == 0) text += id + "\n";
  }
  return text;
}

}  // namespace penstock::testing
