// Whose turn it is, key by key.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

// The unfinished events of an ordered lane. It is the turn of the lowest one of each key.
class KeyOrder {
 public:
  // True when it is its turn at once.
  bool Arrive(const Position& position);
  // It is finished, or gone. Gives the event whose turn it is now, if that changed.
  std::optional<Position> Leave(const Position& position);
  bool IsFirst(const Position& position) const;
  bool Contains(const Position& position) const { return entries_.contains(position); }
  // Those of a key.
  std::vector<Position> OfKey(std::uint64_t key) const;

  // While frozen, it is nobody's turn.
  bool frozen() const { return frozen_; }
  void Freeze() { frozen_ = true; }
  // Gives the events whose turn it is now.
  std::vector<Position> Thaw();

  void Clear() { entries_.clear(); }

 private:
  struct ByKey {
    bool operator()(const Position& a, const Position& b) const {
      return a.key != b.key ? a.key < b.key : a.sequence < b.sequence;
    }
  };

  std::set<Position, ByKey> entries_;
  bool frozen_ = false;
};

}  // namespace penstock::broker
