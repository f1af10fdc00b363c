#include "services/event-broker/domain/delivery/target.h"

#include <algorithm>

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr int kTooManyRequests = 429;
constexpr int kServerErrors = 500;
// A window is cut once for all calls that were under way, which is what ends in this time.
constexpr Microseconds kCutAgainAfter = 1s;
// And only when at least one in so many calls was congested: the few events at which a function
// hangs must not slow down all others.
constexpr int kCongestedShare = 10;

// Errors of an application say nothing about its target's health; they are events' fault.
bool IsTargetsFault(const DeliveryResult& result) {
  return result.timed_out || result.error.category == "SystemError" ||
         result.http_status >= kServerErrors || result.http_status == kTooManyRequests;
}

}  // namespace

TargetReport TargetReport::Of(const DeliveryResult& result) {
  TargetReport report;
  report.succeeded = result.outcome == DeliveryOutcome::kSucceeded;
  switch (result.outcome) {
    case DeliveryOutcome::kSucceeded:
    case DeliveryOutcome::kPermanent: report.health = TargetHealth::kAlive; break;
    case DeliveryOutcome::kRetryable:
      report.health = IsTargetsFault(result) ? TargetHealth::kFailing : TargetHealth::kAlive;
      break;
    case DeliveryOutcome::kUnknown: report.health = TargetHealth::kFailing; break;
    case DeliveryOutcome::kRejected:
    case DeliveryOutcome::kExpired:
    case DeliveryOutcome::kHopLimit:
    case DeliveryOutcome::kGone: break;
  }
  report.congested =
      !report.succeeded && (result.timed_out || result.outcome == DeliveryOutcome::kRejected ||
                            result.retry_after || result.http_status == kTooManyRequests);
  return report;
}

int Target::Room() const {
  const int free = std::max(0, window_ - calls_);
  const auto probes = breaker_.ProbesLeft();
  return probes ? std::min(free, *probes) : free;
}

bool Target::Begin() {
  ++calls_;
  return breaker_.Begin();
}

bool Target::End(bool probe, const TargetReport& report, WallTime wall, MonotonicTime now) {
  --calls_;
  Adapt(report, now);
  const bool opened = breaker_.End(probe, report.health, now);
  if (breaker_.state() == BreakerState::kClosed) {
    failing_since_.reset();
  } else if (!failing_since_) {
    failing_since_ = wall;
  }
  return opened;
}

void Target::Adapt(const TargetReport& report, MonotonicTime now) {
  if (!second_began_ || now - *second_began_ >= kCutAgainAfter) {
    second_began_ = now;
    results_ = congested_ = 0;
  }
  ++results_;
  if (report.congested) {
    ++congested_;
    const bool was_cut = cut_at_ && now - *cut_at_ < kCutAgainAfter;
    if (was_cut || congested_ * kCongestedShare < results_) return;
    window_ = std::max(1, window_ / 2);
    successes_ = 0;
    cut_at_ = now;
  } else if (report.succeeded && ++successes_ >= window_) {
    window_ = std::min(window_ + 1, window_max_);
    successes_ = 0;
  }
}

}  // namespace penstock::broker
