// The events of the simulation.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/event-broker/ports/event_log.h"

namespace penstock::broker::sim {

struct EventPlan {
  std::string space;
  std::string type;
  std::string id;
  std::string key;    // The partition key; may be empty.
  std::string color;  // What filters look at.
  bool poison = false;
  std::optional<WallTime> expires;
  std::size_t padding = 0;
};

AppendRequest MakeEvent(const EventPlan& plan);
bool IsPoison(std::string_view body);
std::string ColorOf(std::string_view body);
bool HasExpiry(std::string_view body);
// What functions that reply answer with.
std::string MakeReplyEvent();

}  // namespace penstock::broker::sim
