#include "services/event-broker/domain/catalog/subscription.h"

#include <fmt/format.h>

#include <algorithm>

#include "libs/base/ids.h"

namespace penstock::broker {

LanePurpose Subscription::purpose() const {
  if (id.starts_with(kCallsIdPrefix)) return LanePurpose::kCalls;
  if (id.starts_with(kCallbacksIdPrefix)) return LanePurpose::kCallbacks;
  return LanePurpose::kEvents;
}

std::vector<std::string> Subscription::Targets() const {
  if (pull) return {};
  if (group) return group->functions;
  return {function};
}

std::vector<std::string> Subscription::FunctionsHeld() const {
  if (purpose() != LanePurpose::kEvents) return {};
  std::vector<std::string> held = Targets();
  if (!dead_letter_sink.function.empty()) held.push_back(dead_letter_sink.function);
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());
  return held;
}

Sequence Subscription::MatchesFrom() const {
  const bool starts_before =
      match_revision == 1 && start.resolved != kNoSequence && start.resolved < effective_sequence;
  return starts_before ? start.resolved : effective_sequence;
}

std::string Subscription::Etag() const {
  return Sha256Hex(fmt::format("{}/{}", uid, revision)).substr(0, 16);
}

}  // namespace penstock::broker
