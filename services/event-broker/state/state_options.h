// What every state store is given.
#pragma once

#include <chrono>

#include "libs/base/time.h"

namespace penstock::broker {

struct StateOptions {
  // How long the key of a scheduled event is remembered after its event was published.
  Microseconds dedup_window = std::chrono::minutes(5);
  // Must outlive the store. Null: the machine's.
  const Clock* clock = nullptr;
};

}  // namespace penstock::broker
