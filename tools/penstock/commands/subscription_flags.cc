#include "tools/penstock/commands/subscription_flags.h"

#include <fmt/format.h>

#include <map>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/cli.h"
#include "tools/penstock/input/values.h"
#include "tools/penstock/output/table.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;
using Paths = std::set<std::string>;

// "a,b" as "a" and "b"; nothing between two commas is refused.
absl::StatusOr<std::vector<std::string>> SplitList(std::string_view flag, std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    if (comma == start) {
      return UsageError(
          fmt::format("{}: expected values with commas between, but this is \"{}\"", flag, text));
    }
    parts.emplace_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return parts;
}

absl::Status SetDurationFlag(std::string_view flag, const std::string& text,
                             google::protobuf::Duration* target) {
  ASSIGN_OR_RETURN(const Microseconds duration, ParseTimeout(flag, text));
  *target = ToProtoDuration(duration);
  return absl::OkStatus();
}

// "GET /path" or "/path", which means POST.
absl::Status ApplyRoute(const SubscriptionFlags& flags, pb::Subscription* subscription) {
  ASSIGN_OR_RETURN(const auto words, SplitWords("--route", flags.route));
  if (words.empty() || words.size() > 2 || !words.back().starts_with('/')) {
    return UsageError(
        fmt::format("--route: expected a method and a path like \"GET /hello\", but this is \"{}\"",
                    flags.route));
  }
  if (words.size() == 2) subscription->mutable_http()->set_method(words[0]);
  subscription->mutable_http()->set_path(words.back());
  subscription->mutable_http()->set_host(flags.host);
  return absl::OkStatus();
}

absl::Status ApplyMatching(const SubscriptionFlags& flags, pb::Subscription* subscription,
                           Paths& paths) {
  if (!flags.event_type.empty()) {
    subscription->set_event_type(flags.event_type);
    paths.insert("event_type");
  }
  if (!flags.route.empty()) {
    RETURN_IF_ERROR(ApplyRoute(flags, subscription));
    paths.insert("http");
  }
  const bool has_filters = !flags.filters.empty() || !flags.exact.empty() ||
                           !flags.prefix.empty() || !flags.suffix.empty();
  if (!has_filters) return absl::OkStatus();
  subscription->clear_filters();
  paths.insert("filters");
  if (!flags.filters.empty()) {
    RETURN_IF_ERROR(protojson::ParseJsonField(
        flags.filters, pb::Subscription::descriptor()->FindFieldByName("filters"), subscription));
  }
  if (!flags.exact.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--exact", flags.exact, subscription->add_filters()->mutable_exact()));
  }
  if (!flags.prefix.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--prefix", flags.prefix, subscription->add_filters()->mutable_prefix()));
  }
  if (!flags.suffix.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--suffix", flags.suffix, subscription->add_filters()->mutable_suffix()));
  }
  return absl::OkStatus();
}

// A schedule and a growing delay exclude each other: the one that is given replaces the other.
absl::Status ApplyRetry(const SubscriptionFlags& flags, pb::Subscription* subscription,
                        Paths& paths) {
  const bool has_growth =
      !flags.retry_backoff.empty() || !flags.retry_delay.empty() || !flags.retry_max_delay.empty();
  if (flags.max_attempts == 0 && flags.retry_schedule.empty() && flags.retry_max_age.empty() &&
      !has_growth) {
    return absl::OkStatus();
  }
  if (!flags.retry_schedule.empty() && has_growth) {
    return UsageError(
        "--retry-schedule: not together with --retry-backoff, --retry-delay and --retry-max-delay");
  }
  pb::RetryPolicy& retry = *subscription->mutable_retry();
  paths.insert("retry");
  if (flags.max_attempts > 0) retry.set_max_attempts(flags.max_attempts);
  if (!flags.retry_schedule.empty()) {
    retry.clear_schedule();
    retry.clear_initial_delay();
    retry.clear_max_delay();
    retry.clear_multiplier();
    retry.set_backoff(pb::RetryPolicy::SCHEDULE);
    ASSIGN_OR_RETURN(const auto delays, SplitList("--retry-schedule", flags.retry_schedule));
    for (const std::string& delay : delays) {
      RETURN_IF_ERROR(SetDurationFlag("--retry-schedule", delay, retry.add_schedule()));
    }
  } else if (has_growth && retry.schedule_size() > 0) {
    retry.clear_schedule();
    retry.clear_backoff();
  }
  if (!flags.retry_backoff.empty()) {
    retry.set_backoff(flags.retry_backoff == "linear" ? pb::RetryPolicy::LINEAR
                                                      : pb::RetryPolicy::EXPONENTIAL);
  }
  if (!flags.retry_delay.empty()) {
    RETURN_IF_ERROR(
        SetDurationFlag("--retry-delay", flags.retry_delay, retry.mutable_initial_delay()));
  }
  if (!flags.retry_max_delay.empty()) {
    RETURN_IF_ERROR(
        SetDurationFlag("--retry-max-delay", flags.retry_max_delay, retry.mutable_max_delay()));
  }
  if (!flags.retry_max_age.empty()) {
    RETURN_IF_ERROR(
        SetDurationFlag("--retry-max-age", flags.retry_max_age, retry.mutable_max_age()));
  }
  return absl::OkStatus();
}

pb::Ordering::OnExhausted OnExhaustedOf(const std::string& text) {
  if (text == "block") return pb::Ordering::BLOCK;
  if (text == "dead-letter-key") return pb::Ordering::DEAD_LETTER_KEY;
  return pb::Ordering::CONTINUE;
}

absl::Status ApplyOrderAndRate(const SubscriptionFlags& flags, pb::Subscription* subscription,
                               Paths& paths) {
  if (!flags.order_by.empty() || !flags.on_exhausted.empty() || flags.max_held > 0) {
    pb::Ordering& ordering = *subscription->mutable_ordering();
    paths.insert("ordering");
    if (!flags.order_by.empty()) ordering.set_by(flags.order_by);
    if (!flags.on_exhausted.empty()) ordering.set_on_exhausted(OnExhaustedOf(flags.on_exhausted));
    if (flags.max_held > 0) ordering.set_max_held(flags.max_held);
  }
  if (flags.rate > 0 || flags.burst > 0) {
    pb::RateLimit& rate = *subscription->mutable_rate_limit();
    paths.insert("rate_limit");
    // A new rate has its own default burst.
    if (flags.rate > 0) rate.clear_burst();
    if (flags.rate > 0) rate.set_events_per_second(flags.rate);
    if (flags.burst > 0) rate.set_burst(flags.burst);
  }
  if (flags.batch > 0 || !flags.batch_wait.empty()) {
    pb::Batching& batching = *subscription->mutable_batching();
    paths.insert("batching");
    if (flags.batch > 0) batching.set_max_events(flags.batch);
    if (!flags.batch_wait.empty()) {
      RETURN_IF_ERROR(
          SetDurationFlag("--batch-wait", flags.batch_wait, batching.mutable_max_wait()));
    }
  }
  return absl::OkStatus();
}

// Who gets the events: a function, several of them, or consumers; and who gets what fails.
absl::Status ApplyTargets(const SubscriptionFlags& flags, pb::Subscription* subscription,
                          Paths& paths) {
  if (!flags.function.empty()) {
    subscription->set_function(flags.function);
    paths.insert("function");
  }
  if (!flags.functions.empty() || !flags.group_strategy.empty()) {
    pb::SubscriberGroup& group = *subscription->mutable_group();
    paths.insert("group");
    if (!flags.group_strategy.empty()) {
      group.set_strategy(flags.group_strategy == "sequence" ? pb::SubscriberGroup::SEQUENCE
                                                            : pb::SubscriberGroup::FIRST_SUCCESS);
    }
    if (!flags.functions.empty()) group.clear_functions();
    for (const std::string& given : flags.functions) {
      ASSIGN_OR_RETURN(const auto ids, SplitList("--functions", given));
      for (const std::string& id : ids) group.add_functions(id);
    }
  }
  if (flags.is_pull || !flags.ack_timeout.empty()) {
    pb::Pull& pull = *subscription->mutable_pull();
    paths.insert("pull");
    if (!flags.ack_timeout.empty()) {
      RETURN_IF_ERROR(
          SetDurationFlag("--ack-timeout", flags.ack_timeout, pull.mutable_ack_timeout()));
    }
  }
  if (!flags.dead_letter_function.empty() || !flags.dead_letter_type.empty()) {
    if (!flags.dead_letter_function.empty() && !flags.dead_letter_type.empty()) {
      return UsageError("--dead-letter-type: not together with --dead-letter-function");
    }
    pb::DeadLetterSink& sink = *subscription->mutable_dead_letter_sink();
    sink.set_function(flags.dead_letter_function);
    sink.set_event_type(flags.dead_letter_type);
    paths.insert("dead_letter_sink");
  }
  return absl::OkStatus();
}

absl::Status ApplyLimits(const SubscriptionFlags& flags, pb::Subscription* subscription,
                         Paths& paths) {
  if (flags.max_in_flight > 0) {
    subscription->set_max_in_flight(flags.max_in_flight);
    paths.insert("max_in_flight");
  }
  if (!flags.delivery_timeout.empty()) {
    RETURN_IF_ERROR(
        SetDurationFlag("--timeout", flags.delivery_timeout, subscription->mutable_timeout()));
    paths.insert("timeout");
  }
  if (!flags.ttl.empty()) {
    RETURN_IF_ERROR(SetDurationFlag("--ttl", flags.ttl, subscription->mutable_time_to_live()));
    paths.insert("time_to_live");
  }
  if (!flags.metadata.empty()) {
    subscription->clear_metadata();
    RETURN_IF_ERROR(ParsePairs("--metadata", flags.metadata, subscription->mutable_metadata()));
    paths.insert("metadata");
  }
  return absl::OkStatus();
}

void AddMatchingFlags(CLI::App* command, SubscriptionFlags* flags) {
  command->add_option("--event-type,--type", flags->event_type,
                      "event type; * stands for any characters");
  command->add_option("--function", flags->function, "the function's id");
  command->add_option("--route", flags->route, "\"METHOD /path\" that the function answers");
  command->add_option("--host", flags->host, "only for this Host, with --route");
  AddList(command, "--exact", &flags->exact, "ATTRIBUTE=VALUE that must be equal; repeatable");
  AddList(command, "--prefix", &flags->prefix, "ATTRIBUTE=START; repeatable");
  AddList(command, "--suffix", &flags->suffix, "ATTRIBUTE=END; repeatable");
  command->add_option("--filters", flags->filters, "all filters as a JSON array");
  command->add_option("--max-in-flight", flags->max_in_flight, "deliveries at the same time")
      ->check(CLI::Range(1, 1024));
  command->add_option("--timeout", flags->delivery_timeout, "limit of one attempt, like 30s");
  command->add_option("--ttl", flags->ttl, "events older than this are not sent, like 10m");
  AddList(command, "--metadata", &flags->metadata, "KEY=VALUE kept with it; repeatable");
}

void AddRetryFlags(CLI::App* command, SubscriptionFlags* flags) {
  command->add_option("--max-attempts", flags->max_attempts, "attempts before the dead letter")
      ->check(CLI::Range(1, 1000));
  command->add_option("--retry-backoff", flags->retry_backoff, "how the delay grows")
      ->check(CLI::IsMember({"exponential", "linear"}));
  command->add_option("--retry-delay", flags->retry_delay, "delay before the second attempt");
  command->add_option("--retry-max-delay", flags->retry_max_delay, "no delay is longer");
  command->add_option("--retry-schedule", flags->retry_schedule,
                      "the delays themselves, like 1s,10s,5m; the last one repeats");
  command->add_option("--retry-max-age", flags->retry_max_age,
                      "an event older than this is not tried again");
  command->add_option("--dead-letter-function", flags->dead_letter_function,
                      "function that gets events that used up the policy");
  command->add_option("--dead-letter-type", flags->dead_letter_type,
                      "event type under which they are published again");
}

void AddDeliveryFlags(CLI::App* command, SubscriptionFlags* flags) {
  command->add_option("--order-by", flags->order_by,
                      "attribute whose equal values are delivered in order, like partitionkey");
  command
      ->add_option("--on-exhausted", flags->on_exhausted,
                   "what a key does when one of its events used up the policy")
      ->check(CLI::IsMember({"continue", "block", "dead-letter-key"}));
  command->add_option("--max-held", flags->max_held, "events that may wait behind failing keys")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--rate", flags->rate, "deliveries that may start a second")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--burst", flags->burst, "and at once after a quiet time")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--batch", flags->batch, "events in one call, at most")
      ->check(CLI::Range(1, 256));
  command->add_option("--batch-wait", flags->batch_wait,
                      "how long the first event of a batch waits for others");
  command->add_flag("--pull", flags->is_pull, "consumers pull the events; see `events pull`");
  command->add_option("--ack-timeout", flags->ack_timeout,
                      "with --pull: without an acknowledgement an event goes to another consumer");
  command->add_option("--group-strategy", flags->group_strategy, "what several functions do")
      ->check(CLI::IsMember({"sequence", "first-success"}));
  AddList(command, "--functions", &flags->functions,
          "functions of a group in their order, like a,b,c; repeatable");
}

}  // namespace

void AddSubscriptionFlags(CLI::App* command, SubscriptionFlags* flags) {
  AddMatchingFlags(command, flags);
  AddRetryFlags(command, flags);
  AddDeliveryFlags(command, flags);
}

absl::StatusOr<std::set<std::string>> ApplySubscriptionFlags(const SubscriptionFlags& flags,
                                                             pb::Subscription* subscription) {
  Paths paths;
  RETURN_IF_ERROR(ApplyMatching(flags, subscription, paths));
  RETURN_IF_ERROR(ApplyTargets(flags, subscription, paths));
  RETURN_IF_ERROR(ApplyRetry(flags, subscription, paths));
  RETURN_IF_ERROR(ApplyOrderAndRate(flags, subscription, paths));
  RETURN_IF_ERROR(ApplyLimits(flags, subscription, paths));
  return paths;
}

absl::StatusOr<std::set<std::string>> ClearSubscriptionFields(const std::vector<std::string>& names,
                                                              pb::Subscription* subscription) {
  static const std::map<std::string, std::string> kPaths = {
      {"ordering", "ordering"}, {"rate-limit", "rate_limit"},
      {"batching", "batching"}, {"dead-letter-sink", "dead_letter_sink"},
      {"ttl", "time_to_live"},  {"timeout", "timeout"},
      {"filters", "filters"},   {"retry", "retry"},
      {"group", "group"},       {"pull", "pull"},
      {"function", "function"}, {"metadata", "metadata"},
  };
  Paths paths;
  for (const std::string& name : names) {
    const auto found = kPaths.find(name);
    if (found == kPaths.end()) {
      std::string known;
      for (const auto& [flag, path] : kPaths) known += (known.empty() ? "" : ", ") + flag;
      return UsageError(
          fmt::format("--clear: expected one of {}, but this is \"{}\"", known, name));
    }
    subscription->GetReflection()->ClearField(
        subscription, subscription->GetDescriptor()->FindFieldByName(found->second));
    paths.insert(found->second);
  }
  return paths;
}

absl::Status SetStart(const std::string& from, WallTime now, pb::StartPosition* start) {
  if (from == "now") return absl::OkStatus();
  if (from == "earliest") {
    start->set_earliest(true);
    return absl::OkStatus();
  }
  const auto point = ParseLogPoint("--from", from, now);
  if (!point.ok()) {
    return UsageError(
        fmt::format("--from: expected earliest, now, a sequence like 17, a time like "
                    "2026-01-02T03:04:05Z or an age like 10m, but this is \"{}\"",
                    from));
  }
  if (const auto* sequence = std::get_if<std::int64_t>(&*point)) {
    start->set_sequence(*sequence);
  } else {
    *start->mutable_time() = ToTimestamp(std::get<WallTime>(*point));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli
