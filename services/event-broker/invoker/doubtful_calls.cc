#include "services/event-broker/invoker/doubtful_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace penstock::broker {
namespace {

void Append(std::vector<DeliveryResult> from, std::vector<DeliveryResult>* to) {
  std::move(from.begin(), from.end(), std::back_inserter(*to));
}

}  // namespace

void DoubtfulCalls::Add(const Executor& executor, SteadyTime over_at,
                        std::vector<DeliveryResult> results) {
  calls_.emplace(over_at, Call{executor, std::move(results)});
}

std::vector<DeliveryResult> DoubtfulCalls::TakeConfirmed(const Executor& executor) {
  std::vector<DeliveryResult> results;
  for (auto at = calls_.begin(); at != calls_.end();) {
    const Executor& had = at->second.executor;
    const bool is_same = had.address == executor.address ||
                         (!executor.instance.empty() && had.instance == executor.instance);
    if (!is_same) {
      ++at;
      continue;
    }
    Append(std::move(at->second.results), &results);
    at = calls_.erase(at);
  }
  return results;
}

std::vector<DeliveryResult> DoubtfulCalls::TakeOver(SteadyTime now) {
  std::vector<DeliveryResult> results;
  while (!calls_.empty() && calls_.begin()->first <= now) {
    Append(std::move(calls_.begin()->second.results), &results);
    calls_.erase(calls_.begin());
  }
  return results;
}

std::vector<DeliveryResult> DoubtfulCalls::TakeAll() { return TakeOver(SteadyTime::max()); }

std::optional<SteadyTime> DoubtfulCalls::next() const {
  if (calls_.empty()) return std::nullopt;
  return calls_.begin()->first;
}

}  // namespace penstock::broker
