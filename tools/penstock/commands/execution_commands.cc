#include <fmt/format.h>
#include <penstock/executions/v1/executor.pb.h>

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

namespace pb = executions::v1;

struct Options {
  std::string id;
  std::string function;
  std::string state;
  std::string trigger;
  std::string event_id;
  std::string subscription;
  std::string delivery_id;
  std::string since;
  std::string until;
  int limit = 50;
};

Table MakeTable() {
  return Table({"ID", "FUNCTION", "STATE", "BY", "TOOK", "AGE", "EVENT", "ERROR"});
}

std::string ErrorCell(const pb::Execution& execution) {
  if (!execution.has_error()) return "";
  return fmt::format("{}: {}", execution.error().type(), execution.error().message());
}

void AddRow(const pb::Execution& execution, WallTime now, Table& table) {
  table.AddRow({IdOf(execution.name()), IdOf(execution.function()),
                pb::Execution::State_Name(execution.state()),
                pb::Execution::Trigger_Name(execution.trigger()),
                ShortDuration(execution.duration()), AgeOf(execution.start_time(), now),
                execution.event_type(), ErrorCell(execution)});
}

std::string ToUpper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return text;
}

// What the flags --state and --trigger say; both were checked.
template <typename Request>
void SetKinds(const Options& options, Request& request) {
  pb::Execution::State state = pb::Execution::STATE_UNSPECIFIED;
  if (pb::Execution::State_Parse(ToUpper(options.state), &state)) request.set_state(state);
  pb::Execution::Trigger trigger = pb::Execution::TRIGGER_UNSPECIFIED;
  if (pb::Execution::Trigger_Parse(ToUpper(options.trigger), &trigger)) {
    request.set_trigger(trigger);
  }
}

absl::StatusOr<pb::ListExecutionsRequest> MakeListRequest(const Options& options,
                                                          Context& context) {
  pb::ListExecutionsRequest request;
  request.set_parent(context.Parent());
  request.set_function(options.function);
  request.set_event_id(options.event_id);
  request.set_subscription(options.subscription);
  request.set_delivery_id(options.delivery_id);
  SetKinds(options, request);
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const WallTime since,
                     ParseTime("--since", options.since, context.clock.Wall()));
    *request.mutable_start_time_from() = ToTimestamp(since);
  }
  if (!options.until.empty()) {
    ASSIGN_OR_RETURN(const WallTime until,
                     ParseTime("--until", options.until, context.clock.Wall()));
    *request.mutable_start_time_to() = ToTimestamp(until);
  }
  return request;
}

absl::Status List(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, MakeListRequest(options, context));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListExecutionsResponse>(
                       context, kListExecutions, request,
                       [](auto& page) { return page.mutable_executions(); }, options.limit));
  for (const std::string& instance : all.unreachable()) {
    context.io.err << fmt::format(
        "warning: executor {} cannot be reached; its records are missing\n", Printable(instance));
  }
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::Execution& execution : all.executions()) {
    AddRow(execution, context.clock.Wall(), table);
  }
  context.Print(table, fmt::format("no executions in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Get(const Options& options, Context& context) {
  pb::GetExecutionRequest request;
  request.set_name(context.NameOf("executions", options.id));
  ASSIGN_OR_RETURN(const auto execution,
                   context.client().Call<pb::Execution>(kGetExecution, request));
  Table table = MakeTable();
  AddRow(execution, context.clock.Wall(), table);
  return context.PrintOne(execution, table);
}

void PrintTailed(const pb::Execution& execution, Format format, Context& context) {
  if (format != Format::kTable) {
    if (auto json = protojson::PrintJson(execution); json.ok()) {
      context.io.out << *json << "\n" << std::flush;
    }
    return;
  }
  context.io.out << fmt::format("{} {} {} {} {} {}",
                                FormatRfc3339(ToWallTime(execution.start_time())),
                                IdOf(execution.name()), IdOf(execution.function()),
                                pb::Execution::State_Name(execution.state()),
                                ShortDuration(execution.duration()), CellText(ErrorCell(execution)))
                 << "\n"
                 << std::flush;
}

absl::Status Tail(const Options& options, Context& context) {
  pb::TailExecutionsRequest request;
  request.set_parent(context.Parent());
  request.set_function(options.function);
  SetKinds(options, request);
  const Format format = context.FormatOr(Format::kTable);
  int printed = 0;
  return context.client().Stream<pb::Execution>(
      kTailExecutions, request, [&](const pb::Execution& execution) {
        PrintTailed(execution, format, context);
        ++printed;
        return context.io.out.good() && (options.limit == 0 || printed < options.limit);
      });
}

absl::Status Cancel(const Options& options, Context& context) {
  pb::CancelExecutionRequest request;
  request.set_name(context.NameOf("executions", options.id));
  ASSIGN_OR_RETURN(const auto execution,
                   context.client().Call<pb::Execution>(kCancelExecution, request));
  Table table = MakeTable();
  AddRow(execution, context.clock.Wall(), table);
  return context.PrintOne(execution, table);
}

void AddList(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  CLI::App* const list = Cli::Add(parent, "list", "Lists records, newest first",
                                  "  penstock executions list --function hello --state failed\n"
                                  "  penstock executions list --event-id 6f1c… -o json");
  list->add_option("--function", options->function, "only of this function");
  list->add_option("--state", options->state, "running, succeeded or failed")
      ->check(CLI::IsMember({"running", "succeeded", "failed"}, CLI::ignore_case));
  list->add_option("--trigger", options->trigger, "call, event or http")
      ->check(CLI::IsMember({"call", "event", "http"}, CLI::ignore_case));
  list->add_option("--event-id", options->event_id, "only of the event with this id");
  list->add_option("--subscription", options->subscription, "only of this subscription");
  list->add_option("--delivery-id", options->delivery_id, "only the attempts of this delivery");
  list->add_option("--until", options->until, "only before this time or age, like 10m");
  list->add_option("--since", options->since, "only since this time or age, like 10m");
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });
}

}  // namespace

void AddExecutionCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "executions", "Records of what happened when functions ran", "");
  parent->alias("execution")->require_subcommand(1);
  AddList(cli, parent);

  const auto got = std::make_shared<Options>();
  CLI::App* const get = Cli::Add(parent, "get", "Shows a record: input, output, error, logs",
                                 "  penstock executions get 1f0c2a3b-0190…");
  get->add_option("id", got->id, "the record's id")->required();
  cli.SetAction(get, [got](Context& context) { return Get(*got, context); });

  const auto tailed = std::make_shared<Options>();
  tailed->limit = 0;
  CLI::App* const tail = Cli::Add(parent, "tail", "Follows runs as they end, until Ctrl-C",
                                  "  penstock executions tail --function hello");
  tail->add_option("--function", tailed->function, "only of this function");
  tail->add_option("--state", tailed->state, "succeeded or failed")
      ->check(CLI::IsMember({"succeeded", "failed"}, CLI::ignore_case));
  tail->add_option("--trigger", tailed->trigger, "call, event or http")
      ->check(CLI::IsMember({"call", "event", "http"}, CLI::ignore_case));
  tail->add_option("--limit", tailed->limit, "end after so many")->check(CLI::NonNegativeNumber);
  cli.SetAction(tail, [tailed](Context& context) { return Tail(*tailed, context); });

  const auto cancelled = std::make_shared<Options>();
  CLI::App* const cancel =
      Cli::Add(parent, "cancel", "Ends a run early; an asynchronous one is not tried again",
               "  penstock executions cancel async-1f0c2a3b0190-17");
  cancel->add_option("id", cancelled->id, "the record's id")->required();
  cli.SetAction(cancel, [cancelled](Context& context) { return Cancel(*cancelled, context); });
}

}  // namespace penstock::cli
