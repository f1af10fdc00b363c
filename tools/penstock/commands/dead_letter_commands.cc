#include <fmt/format.h>
#include <penstock/events/v1/catalog.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/json_format.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

// A selection is redriven or purged in so many calls at most; each takes thousands.
constexpr int kCallsMax = 1000;

struct Options {
  std::vector<std::string> ids;
  std::string subscription;
  std::string event_id;
  std::string reason;
  std::string event_type;
  std::string from;
  std::string to;
  std::string error;
  bool is_all = false;
  int limit = 50;
  int rate = 0;
};

struct EditOptions {
  std::string id;
  std::string event;
  std::string data;
  std::string content_type;
  std::string type;
  std::vector<std::string> extensions;
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

// The conditions that lists, redrives and purges have in common.
template <typename Request>
absl::Status SetFilters(const Options& options, WallTime now, Request* request) {
  request->set_subscription(options.subscription);
  request->set_event_type(options.event_type);
  request->set_error_contains(options.error);
  if (!options.reason.empty()) {
    pb::DeadLetter::Reason reason{};
    if (!pb::DeadLetter::Reason_Parse(options.reason, &reason)) {
      return UsageError(fmt::format("--reason: \"{}\" is not known", options.reason));
    }
    request->set_reason(reason);
  }
  if (!options.from.empty()) {
    ASSIGN_OR_RETURN(const WallTime from, ParseTime("--from", options.from, now));
    *request->mutable_from_time() = ToTimestamp(from);
  }
  if (!options.to.empty()) {
    ASSIGN_OR_RETURN(const WallTime to, ParseTime("--to", options.to, now));
    *request->mutable_to_time() = ToTimestamp(to);
  }
  return absl::OkStatus();
}

absl::Status List(const Options& options, Context& context) {
  pb::ListDeadLettersRequest request;
  request.set_parent(context.Parent());
  request.set_event_id(options.event_id);
  RETURN_IF_ERROR(SetFilters(options, context.clock.Wall(), &request));
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

absl::Status Show(const pb::DeadLetter& letter, Context& context) {
  Table table = MakeTable();
  AddRow(letter, context.clock.Wall(), table);
  return context.PrintOne(letter, table);
}

absl::StatusOr<pb::DeadLetter> Fetch(const std::string& id, Context& context) {
  pb::GetDeadLetterRequest request;
  request.set_name(context.NameOf("deadLetters", id));
  return context.client().Call<pb::DeadLetter>(kGetDeadLetter, request);
}

absl::Status ApplyEdit(const EditOptions& options, Context& context,
                       cloudevents::CloudEvent* event) {
  if (!options.event.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadData(options.event, context.io.in));
    ASSIGN_OR_RETURN(*event, cloudevents::FromJson(text));
  }
  if (!options.type.empty()) event->set_type(options.type);
  if (!options.data.empty()) {
    ASSIGN_OR_RETURN(std::string data, ReadData(options.data, context.io.in));
    const std::string content_type =
        options.content_type.empty() ? GuessContentType(data) : options.content_type;
    event->set_binary_data(std::move(data));
    if (!content_type.empty()) {
      RETURN_IF_ERROR(cloudevents::SetAttributeFromText("datacontenttype", content_type, event));
    }
  }
  google::protobuf::Map<std::string, std::string> extensions;
  RETURN_IF_ERROR(ParsePairs("--extension", options.extensions, &extensions));
  for (const auto& [name, value] : extensions) {
    if (value.empty()) {
      event->mutable_attributes()->erase(name);
    } else {
      RETURN_IF_ERROR(cloudevents::SetAttributeFromText(name, value, event));
    }
  }
  return absl::OkStatus();
}

absl::Status Edit(const EditOptions& options, Context& context) {
  if (options.event.empty() && options.data.empty() && options.type.empty() &&
      options.extensions.empty()) {
    return UsageError("give --event, --data, --type or --extension");
  }
  ASSIGN_OR_RETURN(const auto letter, Fetch(options.id, context));
  pb::UpdateDeadLetterRequest request;
  pb::DeadLetter& edited = *request.mutable_dead_letter();
  edited.set_name(letter.name());
  // Nobody else's edit in between is lost.
  edited.set_etag(letter.etag());
  *edited.mutable_event() = letter.event();
  RETURN_IF_ERROR(ApplyEdit(options, context, edited.mutable_event()));
  request.mutable_update_mask()->add_paths("event");
  ASSIGN_OR_RETURN(const auto updated,
                   context.client().Call<pb::DeadLetter>(kUpdateDeadLetter, request));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(updated, format);
  context.io.out << fmt::format("dead letter \"{}\" edited: its event is {} now\n",
                                Printable(IdOf(updated.name())), Printable(updated.event().id()));
  return absl::OkStatus();
}

// Which dead letters a command is about.
template <typename Request>
absl::StatusOr<Request> Select(const Options& options, Context& context) {
  const bool has_filter = !options.reason.empty() || !options.event_type.empty() ||
                          !options.from.empty() || !options.to.empty() || !options.error.empty();
  const int given = (options.ids.empty() ? 0 : 1) + (options.subscription.empty() ? 0 : 1) +
                    (options.is_all ? 1 : 0);
  if (given > 1 || (given == 0 && !has_filter) || (!options.ids.empty() && has_filter)) {
    return UsageError(
        "give ids, or --subscription, or --all, the latter two with further conditions");
  }
  Request request;
  request.set_parent(context.Parent());
  request.set_all(options.is_all);
  RETURN_IF_ERROR(SetFilters(options, context.clock.Wall(), &request));
  for (const std::string& id : options.ids) {
    request.add_names(context.NameOf("deadLetters", id));
  }
  // A letter that fails again while this runs is not meant.
  if (options.ids.empty() && !request.has_to_time()) {
    *request.mutable_to_time() = ToTimestamp(context.clock.Wall());
  }
  return request;
}

// Each call takes a part of a large selection: it is repeated until nothing is left.
template <typename Response, typename Request, typename Count>
absl::StatusOr<std::int64_t> CallUntilNone(const char* method, const Request& request,
                                           Context& context, Count count) {
  std::int64_t total = 0;
  for (int calls = 0; calls < kCallsMax; ++calls) {
    ASSIGN_OR_RETURN(const auto answer, context.client().Call<Response>(method, request));
    total += count(answer);
    if (count(answer) == 0 || request.names_size() > 0) break;
  }
  return total;
}

absl::Status Redrive(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(auto request, Select<pb::RedriveDeadLettersRequest>(options, context));
  request.set_rate_per_second(options.rate);
  ASSIGN_OR_RETURN(const std::int64_t count,
                   CallUntilNone<pb::RedriveDeadLettersResponse>(
                       kRedriveDeadLetters, request, context,
                       [](const auto& answer) { return answer.redriven_count(); }));
  context.io.out << fmt::format("{} on their way again\n", count);
  return absl::OkStatus();
}

absl::Status Purge(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, Select<pb::PurgeDeadLettersRequest>(options, context));
  ASSIGN_OR_RETURN(const std::int64_t count,
                   CallUntilNone<pb::PurgeDeadLettersResponse>(
                       kPurgeDeadLetters, request, context,
                       [](const auto& answer) { return answer.purged_count(); }));
  context.io.out << fmt::format("{} deleted\n", count);
  return absl::OkStatus();
}

void AddFilters(CLI::App* command, Options* options) {
  std::vector<std::string> reasons;
  for (int i = 1; i < pb::DeadLetter::Reason_descriptor()->value_count(); ++i) {
    reasons.push_back(pb::DeadLetter::Reason_descriptor()->value(i)->name());
  }
  command->add_option("--reason", options->reason, "only for this reason")
      ->check(CLI::IsMember(reasons));
  command->add_option("--event-type,--type", options->event_type,
                      "only of events whose type matches; * stands for any characters");
  command->add_option("--from", options->from, "only since this time or age, like 1h");
  command->add_option("--to", options->to, "only before this time or age");
  command->add_option("--error", options->error, "only with this text in the last error");
}

void AddSelection(CLI::App* command, Options* options) {
  command->add_option("id", options->ids, "dead letters by id");
  command->add_option("--subscription", options->subscription, "those of this subscription");
  command->add_flag("--all", options->is_all, "those of the space");
  AddFilters(command, options);
}

void AddEdit(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<EditOptions>();
  CLI::App* const command = Cli::Add(
      parent, "edit", "Changes the event of a dead letter, before it is redriven",
      "  penstock deadletters edit 3f2a…-17 --data '{\"amount\": 5}'\n"
      "  penstock deadletters edit 3f2a…-17 --extension subject=17 --extension wrong=\n"
      "  penstock deadletters get 3f2a…-17 -o json | jq .event > event.json   # then change it\n"
      "  penstock deadletters edit 3f2a…-17 --event @event.json");
  command->add_option("id", options->id, "the dead letter's id")->required();
  command->add_option("--event", options->event,
                      "the whole event as JSON; @FILE reads a file, - standard input");
  command->add_option("-d,--data", options->data,
                      "the new data; @FILE reads a file, - standard input");
  command->add_option("--content-type", options->content_type,
                      "of the data (default: what it looks like)");
  command->add_option("--type", options->type, "the new type");
  AddList(command, "--extension", &options->extensions,
          "NAME=VALUE attribute; NAME= takes it away; repeatable");
  cli.SetAction(command, [options](Context& context) { return Edit(*options, context); });
}

}  // namespace

void AddDeadLetterCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "deadletters", "Events that could not be delivered", "");
  parent->alias("deadletter")->require_subcommand(1);

  const auto listed = std::make_shared<Options>();
  CLI::App* const list =
      Cli::Add(parent, "list", "Lists dead letters, oldest first",
               "  penstock deadletters list --subscription s1\n"
               "  penstock deadletters list --reason EXPIRED --from 1h --error timeout");
  list->add_option("--subscription", listed->subscription, "only of this subscription");
  list->add_option("--event-id", listed->event_id, "only of events with this id");
  AddFilters(list, listed.get());
  list->add_option("--limit", listed->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(list, [listed](Context& context) { return List(*listed, context); });

  const auto got = std::make_shared<EditOptions>();
  CLI::App* const get = Cli::Add(parent, "get", "Shows a dead letter with its attempts",
                                 "  penstock deadletters get 3f2a…-17");
  get->add_option("id", got->id, "the dead letter's id")->required();
  cli.SetAction(get, [got](Context& context) -> absl::Status {
    ASSIGN_OR_RETURN(const auto letter, Fetch(got->id, context));
    return Show(letter, context);
  });
  AddEdit(cli, parent);

  const auto redriven = std::make_shared<Options>();
  CLI::App* const redrive = Cli::Add(
      parent, "redrive", "Sends dead letters again",
      "  penstock deadletters redrive --subscription s1 --rate 10\n"
      "  penstock deadletters redrive 3f2a…-17 3f2a…-18\n"
      "  penstock deadletters redrive --all --reason ATTEMPTS_EXHAUSTED --error 'HTTP 503'");
  AddSelection(redrive, redriven.get());
  redrive->add_option("--rate", redriven->rate, "so many a second (default: at once)")
      ->check(CLI::Range(1, 1'000'000));
  cli.SetAction(redrive, [redriven](Context& context) { return Redrive(*redriven, context); });

  const auto purged = std::make_shared<Options>();
  CLI::App* const purge = Cli::Add(parent, "purge", "Deletes dead letters for good",
                                   "  penstock deadletters purge 3f2a…-17\n"
                                   "  penstock deadletters purge --subscription s1 --to 7d\n"
                                   "  penstock deadletters purge --all");
  AddSelection(purge, purged.get());
  cli.SetAction(purge, [purged](Context& context) { return Purge(*purged, context); });
}

}  // namespace penstock::cli
