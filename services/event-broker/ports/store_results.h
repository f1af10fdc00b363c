// How stores answer.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::broker {

// Stores are thread-safe. Calls with a StoreDone or StoreResult never block and call it exactly
// once, on the store's own thread, after what they did is durable. Calls without block.
using StoreDone = std::function<void(absl::Status)>;
template <typename T>
using StoreResult = std::function<void(absl::StatusOr<T>)>;

}  // namespace penstock::broker
