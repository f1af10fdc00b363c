#include <fmt/format.h>
#include <penstock/events/v1/catalog.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

struct Options {
  std::vector<std::string> ids;
  std::string subscription;
  std::string event_id;
  bool is_all = false;
  int limit = 50;
};

Table MakeTable() {
  return Table({"ID", "SUBSCRIPTION", "EVENT", "REASON", "ATTEMPTS", "AGE", "ERROR"});
}

void AddRow(const pb::DeadLetter& letter, WallTime now, Table& table) {
  std::string error;
  if (letter.has_last_error()) {
    error = fmt::format("{}: {}", letter.last_error().type(), letter.last_error().message());
  }
  table.AddRow({IdOf(letter.name()), IdOf(letter.subscription()), letter.event().type(),
                pb::DeadLetter::Reason_Name(letter.reason()), std::to_string(letter.attempts()),
                AgeOf(letter.create_time(), now), error});
}

absl::Status List(const Options& options, Context& context) {
  pb::ListDeadLettersRequest request;
  request.set_parent(context.Parent());
  request.set_subscription(options.subscription);
  request.set_event_id(options.event_id);
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListDeadLettersResponse>(
                       context, kListDeadLetters, request,
                       [](auto& page) { return page.mutable_dead_letters(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::DeadLetter& letter : all.dead_letters()) {
    AddRow(letter, context.clock.Wall(), table);
  }
  context.Print(table, fmt::format("no dead letters in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Get(const Options& options, Context& context) {
  pb::GetDeadLetterRequest request;
  request.set_name(context.NameOf("deadLetters", options.ids.front()));
  ASSIGN_OR_RETURN(const auto letter,
                   context.client().Call<pb::DeadLetter>(kGetDeadLetter, request));
  Table table = MakeTable();
  AddRow(letter, context.clock.Wall(), table);
  return context.PrintOne(letter, table);
}

// Which dead letters a command is about.
template <typename Request>
absl::StatusOr<Request> Select(const Options& options, Context& context) {
  const int given = (options.ids.empty() ? 0 : 1) + (options.subscription.empty() ? 0 : 1) +
                    (options.is_all ? 1 : 0);
  if (given != 1) return UsageError("give ids, or --subscription, or --all");
  Request request;
  request.set_parent(context.Parent());
  request.set_subscription(options.subscription);
  request.set_all(options.is_all);
  for (const std::string& id : options.ids) {
    request.add_names(context.NameOf("deadLetters", id));
  }
  return request;
}

absl::Status Redrive(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, Select<pb::RedriveDeadLettersRequest>(options, context));
  ASSIGN_OR_RETURN(const auto answer, context.client().Call<pb::RedriveDeadLettersResponse>(
                                          kRedriveDeadLetters, request));
  context.io.out << fmt::format("{} on their way again\n", answer.redriven_count());
  return absl::OkStatus();
}

absl::Status Purge(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, Select<pb::PurgeDeadLettersRequest>(options, context));
  ASSIGN_OR_RETURN(const auto answer,
                   context.client().Call<pb::PurgeDeadLettersResponse>(kPurgeDeadLetters, request));
  context.io.out << fmt::format("{} deleted\n", answer.purged_count());
  return absl::OkStatus();
}

void AddSelection(CLI::App* command, Options* options) {
  command->add_option("id", options->ids, "dead letters by id");
  command->add_option("--subscription", options->subscription, "all of this subscription");
  command->add_flag("--all", options->is_all, "all of the space");
}

}  // namespace

void AddDeadLetterCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "deadletters", "Events that could not be delivered", "");
  parent->alias("deadletter")->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  CLI::App* const list = Cli::Add(parent, "list", "Lists dead letters, oldest first",
                                  "  penstock deadletters list --subscription s1");
  list->add_option("--subscription", options->subscription, "only of this subscription");
  list->add_option("--event-id", options->event_id, "only of events with this id");
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });

  CLI::App* const get = Cli::Add(parent, "get", "Shows a dead letter with its attempts",
                                 "  penstock deadletters get 3f2a…-17");
  get->add_option("id", options->ids, "the dead letter's id")->required()->expected(1);
  cli.SetAction(get, [options](Context& context) { return Get(*options, context); });

  CLI::App* const redrive = Cli::Add(parent, "redrive", "Sends dead letters again",
                                     "  penstock deadletters redrive --subscription s1\n"
                                     "  penstock deadletters redrive 3f2a…-17 3f2a…-18");
  AddSelection(redrive, options.get());
  cli.SetAction(redrive, [options](Context& context) { return Redrive(*options, context); });

  CLI::App* const purge = Cli::Add(parent, "purge", "Deletes dead letters for good",
                                   "  penstock deadletters purge 3f2a…-17\n"
                                   "  penstock deadletters purge --all");
  AddSelection(purge, options.get());
  cli.SetAction(purge, [options](Context& context) { return Purge(*options, context); });
}

}  // namespace penstock::cli
