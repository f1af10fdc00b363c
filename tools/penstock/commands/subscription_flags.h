// The flags that say what a subscription is, for `subscription create` and `subscription update`.
#pragma once

#include <penstock/events/v1/subscription.pb.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"

namespace penstock::cli {

// What was given; empty or 0 where nothing was.
struct SubscriptionFlags {
  std::string event_type;
  std::string function;
  std::string route;
  std::string host;
  std::vector<std::string> exact;
  std::vector<std::string> prefix;
  std::vector<std::string> suffix;
  std::string filters;
  int max_in_flight = 0;
  std::string delivery_timeout;
  std::vector<std::string> metadata;

  int max_attempts = 0;
  std::string retry_backoff;
  std::string retry_schedule;
  std::string retry_delay;
  std::string retry_max_delay;
  std::string retry_max_age;

  std::string order_by;
  std::string on_exhausted;
  int max_held = 0;
  int rate = 0;
  int burst = 0;
  int batch = 0;
  std::string batch_wait;
  std::string dead_letter_function;
  std::string dead_letter_type;
  std::string ttl;
  bool is_pull = false;
  std::string ack_timeout;
  std::string group_strategy;
  std::vector<std::string> functions;
};

// Adds the flags to a command.
void AddSubscriptionFlags(CLI::App* command, SubscriptionFlags* flags);

// Puts what was given into `subscription`, which may hold more already, and gives the paths of the
// fields that it changed, as an update mask has them. Errors name the flag.
absl::StatusOr<std::set<std::string>> ApplySubscriptionFlags(
    const SubscriptionFlags& flags, events::v1::Subscription* subscription);

// Takes fields away: "ordering", "rate-limit", "batching", "dead-letter-sink", "ttl", "timeout",
// "filters", "retry", "group", "pull". Gives their paths.
absl::StatusOr<std::set<std::string>> ClearSubscriptionFields(
    const std::vector<std::string>& names, events::v1::Subscription* subscription);

// "earliest", "now", a sequence, a time or an age before `now`.
absl::Status SetStart(const std::string& from, WallTime now, events::v1::StartPosition* start);

}  // namespace penstock::cli
