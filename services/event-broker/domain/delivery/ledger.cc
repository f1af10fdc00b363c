#include "services/event-broker/domain/delivery/ledger.h"

#include <algorithm>

namespace penstock::broker {

void Ledger::Add(const Position& position, State state) {
  if (state != State::kUndone && entries_.empty()) return;
  entries_.push_back({position, state});
  Count(state, 1);
}

void Ledger::Set(Sequence sequence, State state) {
  const auto at = At(sequence);
  if (at == entries_.end()) return;
  Count(at->state, -1);
  at->state = state;
  Count(state, 1);
  Trim();
}

const Ledger::Entry* Ledger::Find(Sequence sequence) const {
  const auto at = const_cast<Ledger*>(this)->At(sequence);
  return at == entries_.end() ? nullptr : &*at;
}

std::vector<Ledger::Entry> Ledger::CutAbove(Sequence sequence) {
  std::vector<Entry> cut;
  while (!entries_.empty() && entries_.back().position.sequence > sequence) {
    cut.push_back(entries_.back());
    Count(entries_.back().state, -1);
    entries_.pop_back();
  }
  std::reverse(cut.begin(), cut.end());
  return cut;
}

void Ledger::Count(State state, int by) {
  if (state == State::kUndone) undone_ += static_cast<std::size_t>(by);
  if (state == State::kDone) done_ += static_cast<std::size_t>(by);
}

void Ledger::Trim() {
  while (!entries_.empty() && entries_.front().state != State::kUndone) {
    Count(entries_.front().state, -1);
    entries_.pop_front();
  }
}

std::deque<Ledger::Entry>::iterator Ledger::At(Sequence sequence) {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), sequence,
      [](const Entry& entry, Sequence wanted) { return entry.position.sequence < wanted; });
  return at != entries_.end() && at->position.sequence == sequence ? at : entries_.end();
}

}  // namespace penstock::broker
