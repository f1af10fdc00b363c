#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/events/v1/catalog.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/commands/subscription_flags.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

struct Options {
  std::string id;
  SubscriptionFlags flags;
  std::vector<std::string> cleared;
  std::string from;
  std::string adopt_uid;
  std::string event_type;
  std::string function;
  std::vector<std::string> metadata;
  int limit = 0;
  bool is_missing_ok = false;
  bool is_forced = false;
  bool is_validate_only = false;
};

std::string SourceText(const pb::Subscription& subscription) {
  if (!subscription.has_http()) return subscription.event_type();
  return fmt::format("{} {}{}", subscription.http().method(), subscription.http().host(),
                     subscription.http().path());
}

// Who gets the events.
std::string TargetText(const pb::Subscription& subscription) {
  if (subscription.has_pull()) return "(pull)";
  if (!subscription.has_group()) return IdOf(subscription.function());
  std::string functions;
  for (const std::string& function : subscription.group().functions()) {
    functions += (functions.empty() ? "" : ",") + IdOf(function);
  }
  return functions;
}

Table MakeTable() { return Table({"NAME", "EVENTS", "FUNCTION", "STATE", "AGE"}); }

void AddRow(const pb::Subscription& subscription, WallTime now, Table& table) {
  table.AddRow({IdOf(subscription.name()), SourceText(subscription), TargetText(subscription),
                pb::Subscription::State_Name(subscription.state()),
                AgeOf(subscription.create_time(), now)});
}

absl::Status Report(const pb::Subscription& subscription, std::string_view done, Context& context) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(subscription, format);
  context.io.out << fmt::format("subscription \"{}\" {} ({} -> {})\n", IdOf(subscription.name()),
                                done, SourceText(subscription), TargetText(subscription));
  return absl::OkStatus();
}

absl::Status Create(const Options& options, Context& context) {
  const SubscriptionFlags& flags = options.flags;
  if (flags.event_type.empty() == flags.route.empty()) {
    return UsageError("give either --event-type or --route with a path");
  }
  const int targets = (flags.function.empty() ? 0 : 1) + (flags.functions.empty() ? 0 : 1) +
                      (flags.is_pull ? 1 : 0);
  if (targets != 1) {
    return UsageError("give one of --function, --functions with --group-strategy, and --pull");
  }
  pb::CreateSubscriptionRequest request;
  request.set_parent(context.Parent());
  request.set_subscription_id(options.id);
  request.set_validate_only(options.is_validate_only);
  request.set_adopt_uid(options.adopt_uid);
  pb::Subscription& subscription = *request.mutable_subscription();
  RETURN_IF_ERROR(ApplySubscriptionFlags(flags, &subscription).status());
  if (!options.from.empty() && options.from != "now") {
    RETURN_IF_ERROR(SetStart(options.from, context.clock.Wall(), subscription.mutable_start()));
  }
  ASSIGN_OR_RETURN(const auto created,
                   context.client().Call<pb::Subscription>(kCreateSubscription, request));
  RETURN_IF_ERROR(
      Report(created, options.is_validate_only ? "would be created" : "created", context));
  if (!options.from.empty() && context.FormatOr(Format::kTable) == Format::kTable) {
    context.io.out << fmt::format("events from sequence {} on\n",
                                  created.start().resolved_sequence());
  }
  return absl::OkStatus();
}

// Reads it, changes what was given, and writes it back unless somebody else changed it meanwhile.
absl::Status Update(const Options& options, Context& context) {
  pb::GetSubscriptionRequest get;
  get.set_name(context.NameOf("subscriptions", options.id));
  ASSIGN_OR_RETURN(auto current, context.client().Call<pb::Subscription>(kGetSubscription, get));
  pb::UpdateSubscriptionRequest request;
  request.set_validate_only(options.is_validate_only);
  pb::Subscription& subscription = *request.mutable_subscription();
  subscription = std::move(current);
  ASSIGN_OR_RETURN(auto paths, ClearSubscriptionFields(options.cleared, &subscription));
  ASSIGN_OR_RETURN(auto changed, ApplySubscriptionFlags(options.flags, &subscription));
  // One kind of target takes the place of the other, so that no --clear is needed for that.
  if (changed.contains("function") && !changed.contains("group") && subscription.has_group()) {
    subscription.clear_group();
    changed.insert("group");
  }
  if ((changed.contains("group") || changed.contains("pull")) && !changed.contains("function") &&
      !subscription.function().empty()) {
    subscription.clear_function();
    changed.insert("function");
  }
  paths.merge(changed);
  if (paths.empty()) return UsageError("give at least one flag that changes something");
  for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
  ASSIGN_OR_RETURN(const auto updated,
                   context.client().Call<pb::Subscription>(kUpdateSubscription, request));
  return Report(updated, options.is_validate_only ? "would be updated" : "updated", context);
}

absl::Status List(const Options& options, Context& context) {
  pb::ListSubscriptionsRequest request;
  request.set_parent(context.Parent());
  request.set_function(options.function);
  request.set_event_type(options.event_type);
  RETURN_IF_ERROR(ParsePairs("--metadata", options.metadata, request.mutable_metadata()));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListSubscriptionsResponse>(
                       context, kListSubscriptions, request,
                       [](auto& page) { return page.mutable_subscriptions(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::Subscription& subscription : all.subscriptions()) {
    AddRow(subscription, context.clock.Wall(), table);
  }
  context.Print(table, fmt::format("no subscriptions in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Show(const pb::Subscription& subscription, Context& context) {
  Table table = MakeTable();
  AddRow(subscription, context.clock.Wall(), table);
  return context.PrintOne(subscription, table);
}

absl::Status Delete(const Options& options, Context& context) {
  pb::DeleteSubscriptionRequest request;
  request.set_name(context.NameOf("subscriptions", options.id));
  request.set_allow_missing(options.is_missing_ok);
  request.set_force(options.is_forced);
  RETURN_IF_ERROR(
      context.client().Call<google::protobuf::Empty>(kDeleteSubscription, request).status());
  context.io.out << fmt::format("subscription \"{}\" deleted\n", IdOf(options.id));
  return absl::OkStatus();
}

// `get`, `pause`, `resume`, `drain`, `status`: a request with nothing but the name.
template <typename Request, typename Response>
absl::StatusOr<Response> CallByName(const char* method, const Options& options, Context& context) {
  Request request;
  request.set_name(context.NameOf("subscriptions", options.id));
  return context.client().Call<Response>(method, request);
}

void AddCreate(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = Cli::Add(
      parent, "create", "Sends events, or a path's requests, to a function",
      "  penstock subscription create s1 --event-type user.created --function hello\n"
      "  penstock subscription create s2 --event-type 'user.*' --function hello --exact "
      "source=/shop\n"
      "  penstock subscription create s3 --route 'GET /hello/:name' --function hello\n"
      "  penstock subscription create s4 --event-type '*' --function audit --filters '[{\"not\": "
      "{\"prefix\": {\"type\": \"test.\"}}}]'\n"
      "  penstock subscription create s5 --event-type 'order.*' --function bill --order-by "
      "subject --retry-schedule 1s,10s,5m --dead-letter-function alarm\n"
      "  penstock subscription create s6 --event-type 'order.*' --function report --from earliest "
      "--rate 100 --batch 50 --batch-wait 1s\n"
      "  penstock subscription create s7 --event-type job.new --pull --ack-timeout 1m\n"
      "  penstock subscription create s8 --event-type mail.new --group-strategy first-success "
      "--functions primary,backup");
  command->add_option("name", options->id, "the subscription's id")->required();
  AddSubscriptionFlags(command, &options->flags);
  command->add_option("--from", options->from,
                      "the first event: earliest, now (default), a sequence, time or age");
  command->add_option("--adopt", options->adopt_uid,
                      "go on where the deleted subscription with this uid stopped");
  command->add_flag("--dry-run", options->is_validate_only, "check everything and change nothing");
  cli.SetAction(command, [options](Context& context) { return Create(*options, context); });
}

void AddUpdate(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(parent, "update", "Changes what is given, and leaves the rest as it is",
               "  penstock subscription update s1 --max-attempts 20 --retry-backoff linear\n"
               "  penstock subscription update s1 --rate 50 --burst 100\n"
               "  penstock subscription update s1 --clear rate-limit --clear ordering");
  command->add_option("name", options->id, "the subscription's id")->required();
  AddSubscriptionFlags(command, &options->flags);
  AddList(command, "--clear", &options->cleared,
          "take this away, like rate-limit, ordering, batching, ttl; repeatable");
  command->add_flag("--dry-run", options->is_validate_only, "check everything and change nothing");
  cli.SetAction(command, [options](Context& context) { return Update(*options, context); });
}

void AddByName(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* summary, auto run) {
    CLI::App* const command =
        Cli::Add(parent, name, summary, fmt::format("  penstock subscription {} s1", name));
    command->add_option("name", options->id, "the subscription's id")->required();
    cli.SetAction(command, [options, run](Context& context) -> absl::Status {
      ASSIGN_OR_RETURN(const auto answer, run(*options, context));
      return Show(answer, context);
    });
  };
  add("get", "Shows a subscription", [](const Options& chosen, Context& context) {
    return CallByName<pb::GetSubscriptionRequest, pb::Subscription>(kGetSubscription, chosen,
                                                                    context);
  });
  add("pause", "Stops sending; nothing is lost", [](const Options& chosen, Context& context) {
    return CallByName<pb::PauseSubscriptionRequest, pb::Subscription>(kPauseSubscription, chosen,
                                                                      context);
  });
  add("resume", "Sends again from where it stopped", [](const Options& chosen, Context& context) {
    return CallByName<pb::ResumeSubscriptionRequest, pb::Subscription>(kResumeSubscription, chosen,
                                                                       context);
  });
  add("drain", "Delivers what is there, then pauses", [](const Options& chosen, Context& context) {
    return CallByName<pb::DrainSubscriptionRequest, pb::Subscription>(kDrainSubscription, chosen,
                                                                      context);
  });
}

std::string BreakerText(pb::SubscriptionStatus::Breaker breaker) {
  switch (breaker) {
    case pb::SubscriptionStatus::CLOSED: return "closed";
    case pb::SubscriptionStatus::OPEN: return "open";
    case pb::SubscriptionStatus::HALF_OPEN: return "half open";
    default: return "";
  }
}

absl::Status ShowStatus(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const auto status,
                   (CallByName<pb::GetSubscriptionStatusRequest, pb::SubscriptionStatus>(
                       kGetSubscriptionStatus, options, context)));
  const Format format = context.FormatOr(Format::kYaml);
  if (format != Format::kTable) return context.Print(status, format);
  Table table({"LAG", "OLDEST", "IN FLIGHT", "RETRYING", "HELD", "DEAD LETTERS", "PER SECOND",
               "FAILING", "BREAKER", "REASON"});
  std::string reason = status.state_reason();
  for (const std::string& key : status.blocked_keys()) reason += " " + key;
  table.AddRow(
      {std::to_string(status.lag()), AgeOf(status.oldest_pending_time(), context.clock.Wall()),
       std::to_string(status.in_flight()), std::to_string(status.retrying()),
       std::to_string(status.held()), std::to_string(status.dead_letters()),
       fmt::format("{:.1f}", status.delivered_per_second()),
       fmt::format("{:.1f}", status.failed_per_second()), BreakerText(status.breaker()), reason});
  context.io.out << table.ToString();
  return absl::OkStatus();
}

void AddStatus(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = Cli::Add(parent, "status", "Says how far it is behind, and why",
                                     "  penstock subscription status s1\n"
                                     "  penstock subscription status s1 -o table");
  command->add_option("name", options->id, "the subscription's id")->required();
  cli.SetAction(command, [options](Context& context) { return ShowStatus(*options, context); });
}

}  // namespace

void AddSubscriptionCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "subscription", "Subscriptions: which events go to which function", "");
  parent->alias("subscriptions")->require_subcommand(1);
  AddCreate(cli, parent);
  AddUpdate(cli, parent);
  AddByName(cli, parent);
  AddStatus(cli, parent);
  const auto options = std::make_shared<Options>();

  CLI::App* const list = Cli::Add(parent, "list", "Lists subscriptions",
                                  "  penstock subscription list --function hello");
  list->add_option("--function", options->function, "only of this function");
  list->add_option("--event-type,--type", options->event_type,
                   "only with exactly this event type pattern");
  AddList(list, "--metadata", &options->metadata, "only with KEY=VALUE; repeatable");
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber);
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });

  CLI::App* const remove =
      Cli::Add(parent, "delete", "Deletes a subscription", "  penstock subscription delete s1");
  remove->add_option("name", options->id, "the subscription's id")->required();
  remove->add_flag("--ignore-missing", options->is_missing_ok, "succeed when there is none");
  remove->add_flag("--force", options->is_forced, "also drop deliveries that are pending");
  cli.SetAction(remove, [options](Context& context) { return Delete(*options, context); });
}

}  // namespace penstock::cli
