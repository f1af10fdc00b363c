#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/events/v1/catalog.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

struct Options {
  std::string id;
  std::string event_type;
  std::string function;
  std::string route;
  std::string host;
  std::vector<std::string> exact;
  std::vector<std::string> prefix;
  std::vector<std::string> suffix;
  std::string filters;
  int max_attempts = 0;
  int max_in_flight = 0;
  std::string delivery_timeout;
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

Table MakeTable() { return Table({"NAME", "EVENTS", "FUNCTION", "STATE", "AGE"}); }

void AddRow(const pb::Subscription& subscription, WallTime now, Table& table) {
  table.AddRow({IdOf(subscription.name()), SourceText(subscription), IdOf(subscription.function()),
                pb::Subscription::State_Name(subscription.state()),
                AgeOf(subscription.create_time(), now)});
}

// "GET /path" or "/path", which means POST.
absl::Status ApplyRoute(const Options& options, pb::Subscription* subscription) {
  ASSIGN_OR_RETURN(const auto words, SplitWords("--route", options.route));
  if (words.empty() || words.size() > 2 || !words.back().starts_with('/')) {
    return UsageError(
        fmt::format("--route: expected a method and a path like \"GET /hello\", but this is \"{}\"",
                    options.route));
  }
  if (words.size() == 2) subscription->mutable_http()->set_method(words[0]);
  subscription->mutable_http()->set_path(words.back());
  subscription->mutable_http()->set_host(options.host);
  return absl::OkStatus();
}

absl::Status ApplyFilters(const Options& options, pb::Subscription* subscription) {
  if (!options.filters.empty()) {
    RETURN_IF_ERROR(protojson::ParseJsonField(
        options.filters, pb::Subscription::descriptor()->FindFieldByName("filters"), subscription));
  }
  if (!options.exact.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--exact", options.exact, subscription->add_filters()->mutable_exact()));
  }
  if (!options.prefix.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--prefix", options.prefix, subscription->add_filters()->mutable_prefix()));
  }
  if (!options.suffix.empty()) {
    RETURN_IF_ERROR(
        ParsePairs("--suffix", options.suffix, subscription->add_filters()->mutable_suffix()));
  }
  return absl::OkStatus();
}

absl::Status Create(const Options& options, Context& context) {
  if (options.event_type.empty() == options.route.empty()) {
    return UsageError("give either --event-type or --route with a path");
  }
  pb::CreateSubscriptionRequest request;
  request.set_parent(context.Parent());
  request.set_subscription_id(options.id);
  request.set_validate_only(options.is_validate_only);
  pb::Subscription& subscription = *request.mutable_subscription();
  subscription.set_event_type(options.event_type);
  subscription.set_function(options.function);
  if (!options.route.empty()) RETURN_IF_ERROR(ApplyRoute(options, &subscription));
  RETURN_IF_ERROR(ApplyFilters(options, &subscription));
  RETURN_IF_ERROR(ParsePairs("--metadata", options.metadata, subscription.mutable_metadata()));
  if (options.max_attempts > 0)
    subscription.mutable_retry()->set_max_attempts(options.max_attempts);
  subscription.set_max_in_flight(options.max_in_flight);
  if (!options.delivery_timeout.empty()) {
    ASSIGN_OR_RETURN(const Microseconds timeout,
                     ParseTimeout("--timeout", options.delivery_timeout));
    *subscription.mutable_timeout() = ToProtoDuration(timeout);
  }
  ASSIGN_OR_RETURN(const auto created,
                   context.client().Call<pb::Subscription>(kCreateSubscription, request));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(created, format);
  context.io.out << fmt::format("subscription \"{}\" {} ({} -> {})\n", IdOf(created.name()),
                                options.is_validate_only ? "would be created" : "created",
                                SourceText(created), IdOf(created.function()));
  return absl::OkStatus();
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

// `get`, `pause`, `resume`, `status`: a request with nothing but the name.
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
      "{\"prefix\": {\"type\": \"test.\"}}}]'");
  command->add_option("name", options->id, "the subscription's id")->required();
  command->add_option("--event-type,--type", options->event_type,
                      "event type; * stands for any characters");
  command->add_option("--function", options->function, "the function's id")->required();
  command->add_option("--route", options->route, "\"METHOD /path\" that the function answers");
  command->add_option("--host", options->host, "only for this Host, with --route");
  AddList(command, "--exact", &options->exact, "ATTRIBUTE=VALUE that must be equal; repeatable");
  AddList(command, "--prefix", &options->prefix, "ATTRIBUTE=START; repeatable");
  AddList(command, "--suffix", &options->suffix, "ATTRIBUTE=END; repeatable");
  command->add_option("--filters", options->filters, "all filters as a JSON array");
  command->add_option("--max-attempts", options->max_attempts, "attempts before the dead letter")
      ->check(CLI::Range(1, 1000));
  command->add_option("--max-in-flight", options->max_in_flight, "deliveries at the same time")
      ->check(CLI::Range(1, 1024));
  command->add_option("--timeout", options->delivery_timeout, "limit of one attempt, like 30s");
  AddList(command, "--metadata", &options->metadata, "KEY=VALUE kept with it; repeatable");
  command->add_flag("--dry-run", options->is_validate_only, "check everything and change nothing");
  cli.SetAction(command, [options](Context& context) { return Create(*options, context); });
}

void AddByName(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* summary, auto run) {
    CLI::App* const command =
        Cli::Add(parent, name, summary, fmt::format("  penstock subscription {} s1", name));
    command->add_option("name", options->id, "the subscription's id")->required();
    cli.SetAction(command, [options, run](Context& context) -> absl::Status {
      ASSIGN_OR_RETURN(const auto answer, run(*options, context));
      if constexpr (std::is_same_v<decltype(answer), const pb::Subscription>) {
        return Show(answer, context);
      } else {
        return context.Print(answer, context.FormatOr(Format::kYaml));
      }
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
  add("status", "Says how far it is behind", [](const Options& chosen, Context& context) {
    return CallByName<pb::GetSubscriptionStatusRequest, pb::SubscriptionStatus>(
        kGetSubscriptionStatus, chosen, context);
  });
}

}  // namespace

void AddSubscriptionCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "subscription", "Subscriptions: which events go to which function", "");
  parent->alias("subscriptions")->require_subcommand(1);
  AddCreate(cli, parent);
  AddByName(cli, parent);
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
