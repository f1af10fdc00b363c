#include "tests/support/function_server/plan.h"

#include <cstdlib>

namespace penstock::testing {
namespace {

// FNV-1a with a finish that spreads its weak high bits.
std::uint64_t Hash(std::uint64_t seed, std::string_view text, std::uint64_t more) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash ^= more * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

// From 0 to below 1.
double Share(std::uint64_t hash) { return static_cast<double>(hash >> 11) / 9007199254740992.0; }

}  // namespace

Ending Draw(const Plan& plan, std::string_view delivery_id, int attempt) {
  if (plan.poison > 0 && Share(Hash(plan.seed + 1, delivery_id, 0)) < plan.poison) {
    return Ending::kFail;
  }
  if (plan.hang <= 0 && plan.fail <= 0) return Ending::kSucceed;
  const double share = Share(Hash(plan.seed, delivery_id, static_cast<std::uint64_t>(attempt)));
  if (share < plan.hang) return Ending::kHang;
  return share < plan.hang + plan.fail ? Ending::kFail : Ending::kSucceed;
}

std::optional<Plan> ParsePlan(const std::map<std::string, std::string>& parameters) {
  Plan plan;
  for (const auto& [name, text] : parameters) {
    if (name == "path") continue;
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(number >= 0)) return std::nullopt;
    const auto milliseconds = std::chrono::milliseconds(static_cast<std::int64_t>(number));
    if (name == "fail") {
      plan.fail = number;
    } else if (name == "hang") {
      plan.hang = number;
    } else if (name == "poison") {
      plan.poison = number;
    } else if (name == "status") {
      plan.status = static_cast<int>(number);
    } else if (name == "delay_ms") {
      plan.delay = milliseconds;
    } else if (name == "hang_ms") {
      plan.hang_max = milliseconds;
    } else if (name == "seed") {
      plan.seed = static_cast<std::uint64_t>(number);
    } else {
      return std::nullopt;
    }
  }
  return plan;
}

}  // namespace penstock::testing
