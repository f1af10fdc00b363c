#include "libs/config/problems.h"

#include <utility>

#include "libs/base/status.h"

namespace penstock::config {

std::string Problem::ToString() const {
  std::string text = place.ToString();
  if (!text.empty()) text += ": ";
  if (!key.empty()) text += key + ": ";
  return text + message;
}

void Problems::Add(Place place, std::string key, std::string message) {
  problems_.push_back({std::move(place), std::move(key), std::move(message)});
}

bool Problems::Concerns(std::string_view key) const {
  for (const Problem& problem : problems_) {
    if (!problem.key.starts_with(key)) continue;
    if (problem.key.size() == key.size()) return true;
    const char next = problem.key[key.size()];
    if (next == '.' || next == '[') return true;
  }
  return false;
}

absl::Status Problems::ToStatus() const {
  std::vector<FieldViolation> violations;
  for (const Problem& problem : problems_) violations.push_back({problem.key, problem.message});
  return FieldErrors(violations);
}

}  // namespace penstock::config
