// How calls of a path are to end.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::testing {

struct Plan {
  double fail = 0;    // Of attempts.
  double hang = 0;    // Of attempts.
  double poison = 0;  // Of deliveries.
  int status = 503;
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds hang_max{10'000};
  std::uint64_t seed = 0;
};

enum class Ending { kSucceed, kFail, kHang };

// The same for the same delivery, attempt and seed.
Ending Draw(const Plan& plan, std::string_view delivery_id, int attempt);

// A plan from query parameters; nothing when one is unknown or no number.
std::optional<Plan> ParsePlan(const std::map<std::string, std::string>& parameters);

}  // namespace penstock::testing
