#include "services/event-broker/domain/delivery/key_order.h"

#include <iterator>

namespace penstock::broker {

bool KeyOrder::Arrive(const Position& position) {
  const auto at = entries_.insert(position).first;
  return !frozen_ && (at == entries_.begin() || std::prev(at)->key != position.key);
}

std::optional<Position> KeyOrder::Leave(const Position& position) {
  const auto at = entries_.find(position);
  if (at == entries_.end()) return std::nullopt;
  const bool first = at == entries_.begin() || std::prev(at)->key != position.key;
  const auto next = entries_.erase(at);
  if (frozen_ || !first || next == entries_.end() || next->key != position.key) return std::nullopt;
  return *next;
}

bool KeyOrder::IsFirst(const Position& position) const {
  const auto at = entries_.find(position);
  return at != entries_.end() && (at == entries_.begin() || std::prev(at)->key != position.key);
}

std::vector<Position> KeyOrder::OfKey(std::uint64_t key) const {
  std::vector<Position> positions;
  Position first;
  first.key = key;
  for (auto at = entries_.lower_bound(first); at != entries_.end() && at->key == key; ++at) {
    positions.push_back(*at);
  }
  return positions;
}

std::vector<Position> KeyOrder::Thaw() {
  frozen_ = false;
  std::vector<Position> firsts;
  for (const Position& position : entries_) {
    if (firsts.empty() || firsts.back().key != position.key) firsts.push_back(position);
  }
  return firsts;
}

}  // namespace penstock::broker
