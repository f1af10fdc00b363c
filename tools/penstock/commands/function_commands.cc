#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/function_source.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = functions::v1;

// Subscriptions that `--subscribe` makes under numbered names look for a free one up to here.
constexpr int kSubscriptionNumberMax = 1000;

struct Options {
  std::string id;
  FunctionFlags flags;
  std::vector<std::string> subscribe;
  std::vector<std::string> metadata_filter;
  int limit = 0;
  bool is_missing_ok = false;
  bool is_validate_only = false;
};

std::string DriverText(const pb::Function& function) {
  if (function.has_http()) return "http";
  if (function.has_process()) return function.process().runtime();
  if (function.has_weighted()) return "weighted";
  return function.has_noop() ? "noop" : "";
}

std::string TargetText(const pb::Function& function) {
  if (function.has_http()) return function.http().url();
  if (!function.process().command().empty()) return function.process().command(0);
  if (function.has_weighted()) {
    std::string text;
    for (const pb::WeightedTarget& target : function.weighted().targets()) {
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", target.function(), target.weight());
    }
    return text;
  }
  return function.description();
}

void AddRow(const pb::Function& function, WallTime now, Table& table) {
  std::string state = pb::Function::State_Name(function.state());
  if (!function.state_reason().empty()) {
    state += ": " + function.state_reason().substr(0, function.state_reason().find('\n'));
  }
  table.AddRow({IdOf(function.name()), DriverText(function), state,
                std::to_string(function.version()), AgeOf(function.create_time(), now),
                TargetText(function)});
}

Table MakeTable() { return Table({"NAME", "RUNS", "STATE", "VERSION", "AGE", "TARGET"}); }

absl::Status PrintChanged(Context& context, const pb::Function& function, std::string_view verb) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(function, format);
  context.io.out << fmt::format("function \"{}\" {} ({}, version {})\n", IdOf(function.name()),
                                verb, pb::Function::State_Name(function.state()),
                                function.version());
  if (!function.state_reason().empty()) {
    context.io.err << "warning: " << Printable(function.state_reason()) << "\n";
  }
  return absl::OkStatus();
}

// Subscribes the function under the first free name `<function>-<n>` from `*number` on.
absl::Status Subscribe(Context& context, const std::string& function, const std::string& event_type,
                       int* number) {
  events::v1::CreateSubscriptionRequest request;
  request.set_parent(context.Parent());
  request.mutable_subscription()->set_event_type(event_type);
  request.mutable_subscription()->set_function(function);
  for (;;) {
    const std::string id = fmt::format("{}-{}", function, *number);
    request.set_subscription_id(id);
    const auto created =
        context.client().Call<events::v1::Subscription>(kCreateSubscription, request);
    ++*number;
    if (created.ok()) {
      if (context.FormatOr(Format::kTable) == Format::kTable) {
        context.io.out << fmt::format("subscription \"{}\" created ({} -> {})\n", id, event_type,
                                      function);
      }
      return absl::OkStatus();
    }
    const bool is_taken = created.status().code() == absl::StatusCode::kAlreadyExists;
    if (!is_taken || *number > kSubscriptionNumberMax) {
      context.io.err << fmt::format(
          "warning: the function exists now, but is not subscribed to \"{}\"\n", event_type);
      return created.status();
    }
  }
}

absl::Status Create(const Options& options, Context& context) {
  pb::CreateFunctionRequest request;
  request.set_parent(context.Parent());
  request.set_function_id(options.id);
  request.set_validate_only(options.is_validate_only);
  std::vector<std::string> paths;
  RETURN_IF_ERROR(
      ApplyFunctionFlags(options.flags, context.io.in, request.mutable_function(), &paths));
  if (request.function().driver_case() == pb::Function::DRIVER_NOT_SET) {
    return UsageError(
        "what does it run? Give --source FILE, --url URL, --command, --weighted or --noop");
  }
  const auto created = context.client().Call<pb::Function>(kCreateFunction, request);
  if (!created.ok()) {
    if (created.status().code() == absl::StatusCode::kAlreadyExists) {
      context.io.err << fmt::format("note: `penstock function update {}` changes it\n", options.id);
    }
    return created.status();
  }
  RETURN_IF_ERROR(
      PrintChanged(context, *created, options.is_validate_only ? "would be created" : "created"));
  if (options.is_validate_only) return absl::OkStatus();
  int number = 1;
  for (const std::string& event_type : options.subscribe) {
    RETURN_IF_ERROR(Subscribe(context, options.id, event_type, &number));
  }
  return absl::OkStatus();
}

absl::Status Update(const Options& options, Context& context) {
  pb::UpdateFunctionRequest request;
  request.set_validate_only(options.is_validate_only);
  request.mutable_function()->set_name(context.NameOf("functions", options.id));
  std::vector<std::string> paths;
  RETURN_IF_ERROR(
      ApplyFunctionFlags(options.flags, context.io.in, request.mutable_function(), &paths));
  if (paths.empty()) return UsageError("nothing to change: give at least one flag");
  for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
  ASSIGN_OR_RETURN(const auto updated,
                   context.client().Call<pb::Function>(kUpdateFunction, request));
  return PrintChanged(context, updated, options.is_validate_only ? "would be updated" : "updated");
}

absl::Status List(const Options& options, Context& context) {
  pb::ListFunctionsRequest request;
  request.set_parent(context.Parent());
  RETURN_IF_ERROR(ParsePairs("--metadata", options.metadata_filter, request.mutable_metadata()));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListFunctionsResponse>(
                       context, kListFunctions, request,
                       [](auto& page) { return page.mutable_functions(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::Function& function : all.functions()) {
    AddRow(function, context.clock.Wall(), table);
  }
  context.Print(table, fmt::format("no functions in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Get(const Options& options, Context& context) {
  pb::GetFunctionRequest request;
  request.set_name(context.NameOf("functions", options.id));
  ASSIGN_OR_RETURN(const auto function, context.client().Call<pb::Function>(kGetFunction, request));
  Table table = MakeTable();
  AddRow(function, context.clock.Wall(), table);
  return context.PrintOne(function, table);
}

absl::Status Delete(const Options& options, Context& context) {
  pb::DeleteFunctionRequest request;
  request.set_name(context.NameOf("functions", options.id));
  request.set_allow_missing(options.is_missing_ok);
  RETURN_IF_ERROR(
      context.client().Call<google::protobuf::Empty>(kDeleteFunction, request).status());
  context.io.out << fmt::format("function \"{}\" deleted\n", IdOf(options.id));
  return absl::OkStatus();
}

void AddFlags(CLI::App* command, Options* options) {
  FunctionFlags& flags = options->flags;
  command->add_option("name", options->id, "the function's id")->required();
  command->add_option("--source", flags.source,
                      "file with the program text; - reads standard input");
  command->add_option("--url", flags.url, "URL of a function that speaks HTTP");
  command->add_option("--command", flags.command,
                      "program and arguments, one line in, one line out");
  AddList(command, "--weighted", &flags.weighted,
          "FUNCTION=WEIGHT that gets a share of the calls; repeatable");
  command->add_flag("--noop", flags.is_noop, "answer at once with what is given");
  command->add_option("--runtime", flags.runtime,
                      "python3, node or exec; default: by the file's ending");
  command->add_option("--handler", flags.handler,
                      "function in the source to call (default handle)");
  command->add_option("--format", flags.format,
                      "how --url gets events: binary, structured, raw or context");
  command->add_option("--signing-secret", flags.signing_secret,
                      "secret that signs requests to --url (Standard Webhooks)");
  command->add_option("--timeout", flags.timeout, "limit of one call, like 30s");
  AddList(command, "--env", &flags.environment, "KEY=VALUE for its environment; repeatable");
  AddList(command, "--secret", &flags.secrets, "secret that it is given; repeatable; '' for none");
  AddList(command, "--metadata", &flags.metadata, "KEY=VALUE kept with it; repeatable");
  command->add_option("--description", flags.description, "what it does, for people");
  command->add_option("--input-schema", flags.input_schema,
                      "file with the JSON Schema of what it takes; - reads standard input");
  command->add_option("--output-schema", flags.output_schema,
                      "file with the JSON Schema of what it answers");
  command->add_option("--middleware", flags.middleware,
                      "file with a JSON list of steps around it; - reads standard input");
  command->add_option("--max-workers", flags.max_workers, "worker processes at the same time")
      ->check(CLI::Range(1, 64));
  command->add_option("--max-concurrency", flags.max_concurrency, "calls at the same time")
      ->check(CLI::Range(1, 1'000'000));
  command->add_flag("--dry-run", options->is_validate_only, "check everything and change nothing");
}

void AddCreateAndUpdate(Cli& cli, CLI::App* function) {
  const auto options = std::make_shared<Options>();
  CLI::App* const create = Cli::Add(
      function, "create", "Creates a function",
      "  penstock function create hello --source hello.py\n"
      "  penstock function create hello --source hello.js --subscribe user.created\n"
      "  penstock function create shop --url http://127.0.0.1:9000/hook --timeout 5s\n"
      "  penstock function create shout --command '/usr/local/bin/shout --loud' --env LANG=C");
  AddFlags(create, options.get());
  AddList(create, "--subscribe", &options->subscribe, "event type to subscribe it to; repeatable");
  cli.SetAction(create, [options](Context& context) { return Create(*options, context); });

  const auto changes = std::make_shared<Options>();
  CLI::App* const update = Cli::Add(function, "update", "Changes what the flags name",
                                    "  penstock function update hello --source hello.py\n"
                                    "  penstock function update hello --timeout 1m");
  AddFlags(update, changes.get());
  cli.SetAction(update, [changes](Context& context) { return Update(*changes, context); });
}

}  // namespace

void AddFunctionCommands(Cli& cli) {
  CLI::App* const function = Cli::Add(&cli.root(), "function", "Functions: what can be called", "");
  function->alias("functions")->require_subcommand(1);
  AddCreateAndUpdate(cli, function);
  const auto options = std::make_shared<Options>();

  CLI::App* const list = Cli::Add(function, "list", "Lists functions",
                                  "  penstock function list\n"
                                  "  penstock function list --metadata team=shop -o json");
  AddList(list, "--metadata", &options->metadata_filter, "only with KEY=VALUE; repeatable");
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber);
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });

  CLI::App* const get =
      Cli::Add(function, "get", "Shows a function", "  penstock function get hello");
  get->add_option("name", options->id, "the function's id; id@3 or id@prod for a version")
      ->required();
  cli.SetAction(get, [options](Context& context) { return Get(*options, context); });

  CLI::App* const remove = Cli::Add(function, "delete", "Deletes a function that nothing uses",
                                    "  penstock function delete hello");
  remove->add_option("name", options->id, "the function's id")->required();
  remove->add_flag("--ignore-missing", options->is_missing_ok, "succeed when there is none");
  cli.SetAction(remove, [options](Context& context) { return Delete(*options, context); });

  AddDeployCommand(cli, function);
  AddInvokeCommand(cli, function);
  AddLogsCommand(cli, function);
  AddVersionCommands(cli, function);
}

}  // namespace penstock::cli
