#include "services/event-broker/domain/delivery/types.h"

namespace penstock::broker {

std::string ReplayLane(std::string_view uid, std::string_view replay) {
  return std::string(uid) + "." + std::string(replay);
}

std::string_view SubscriptionOfLane(std::string_view lane) {
  return lane.substr(0, lane.find('.'));
}

std::string_view ReplayOfLane(std::string_view lane) {
  const std::size_t dot = lane.find('.');
  return dot == std::string_view::npos ? std::string_view() : lane.substr(dot + 1);
}

// FNV-1a, finished so that near keys differ in all bits. Stored in rows: it must stay as it is.
std::uint64_t KeyHash(std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93;
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}

}  // namespace penstock::broker
