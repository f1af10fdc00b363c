// What a lane has taken and the floor has not passed yet.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

// The events above a lane's floor, ascending. The lowest one is always undone: what is done, or
// kept in a row, leaves as soon as nothing undone is below it.
class Ledger {
 public:
  enum class State : std::uint8_t { kUndone, kRow, kDone };
  struct Entry {
    Position position;
    State state = State::kUndone;
  };

  // Higher than all that were added before.
  void Add(const Position& position, State state = State::kUndone);
  // Of one that the floor has passed: nothing.
  void Set(Sequence sequence, State state);

  const std::deque<Entry>& entries() const { return entries_; }
  const Entry* lowest_undone() const { return entries_.empty() ? nullptr : &entries_.front(); }
  const Entry* Find(Sequence sequence) const;
  std::size_t undone() const { return undone_; }
  std::size_t done() const { return done_; }

  // Takes out what is above `sequence`; ascending.
  std::vector<Entry> CutAbove(Sequence sequence);

 private:
  void Count(State state, int by);
  void Trim();
  std::deque<Entry>::iterator At(Sequence sequence);

  std::deque<Entry> entries_;
  std::size_t undone_ = 0;
  std::size_t done_ = 0;
};

}  // namespace penstock::broker
