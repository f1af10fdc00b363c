#include "services/event-broker/domain/catalog/subscription.h"

#include <fmt/format.h>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

// Collects the violations of several checks into one status.
class Problems {
 public:
  void Add(const absl::Status& status) {
    for (FieldViolation& violation : FieldViolationsOf(status)) {
      violations_.push_back(std::move(violation));
    }
  }
  void Check(bool holds, std::string field, std::string description) {
    if (!holds) violations_.push_back({std::move(field), std::move(description)});
  }
  absl::Status Status() const { return FieldErrors(violations_); }

 private:
  std::vector<FieldViolation> violations_;
};

void CheckRetry(const RetryPolicy& retry, Problems& problems) {
  problems.Check(retry.attempts_max >= 1 && retry.attempts_max <= 1000, "retry.maxAttempts",
                 "expected 1 to 1000");
  problems.Check(retry.delay_initial >= 1ms && retry.delay_initial <= 1h, "retry.initialDelay",
                 "expected 1ms to 1h");
  problems.Check(retry.delay_max >= retry.delay_initial && retry.delay_max <= 24h, "retry.maxDelay",
                 "expected initialDelay to 24h");
  problems.Check(retry.multiplier >= 1 && retry.multiplier <= 10, "retry.multiplier",
                 "expected 1 to 10");
  problems.Check(retry.jitter >= 0 && retry.jitter <= 1, "retry.jitter", "expected 0 to 1");
  problems.Check(retry.age_max >= 1s && retry.age_max <= 24h * 30, "retry.maxAge",
                 "expected 1s to 30 days");
}

void CheckMetadata(const std::map<std::string, std::string>& metadata, Problems& problems) {
  problems.Check(metadata.size() <= 64, "metadata", "more than 64 entries");
  for (const auto& [key, value] : metadata) {
    problems.Check(!key.empty() && key.size() <= 63, "metadata." + key.substr(0, 63),
                   "expected a key of 1 to 63 characters");
    problems.Check(value.size() <= 1024, "metadata." + key.substr(0, 63),
                   "expected a value of at most 1024 characters");
  }
}

}  // namespace

std::string Subscription::Etag() const {
  return Sha256Hex(fmt::format("{}/{}", uid, revision)).substr(0, 16);
}

absl::Status CheckAndNormalize(Subscription& subscription) {
  Problems problems;
  problems.Add(CheckResourceId("function", subscription.function));
  CheckMetadata(subscription.metadata, problems);
  if (subscription.timeout) {
    problems.Check(*subscription.timeout >= 1ms && *subscription.timeout <= 15min, "timeout",
                   "expected 1ms to 15min");
  }
  if (subscription.http) {
    problems.Check(
        subscription.event_type.empty(), "eventType",
        "must not be set together with http: a path's requests have no event type to match");
    problems.Check(subscription.filters.empty(), "filters", "must not be set together with http");
    problems.Add(CheckAndNormalize(*subscription.http));
    return problems.Status();
  }
  problems.Add(TypePattern::Parse("eventType", subscription.event_type).status());
  problems.Add(CheckFilters(subscription.filters));
  problems.Check(subscription.in_flight_max >= 1 && subscription.in_flight_max <= 1024,
                 "maxInFlight", "expected 1 to 1024");
  CheckRetry(subscription.retry, problems);
  return problems.Status();
}

}  // namespace penstock::broker
