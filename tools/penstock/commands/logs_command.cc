#include <fmt/format.h>
#include <penstock/executions/v1/executor.pb.h>

#include <deque>
#include <memory>
#include <set>

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

// Records that were printed, to leave out those that the tail sends again.
constexpr std::size_t kSeenMax = 10'000;

struct Options {
  std::string id;
  std::string since;
  int limit = 50;
  bool is_following = false;
};

void PrintRecord(const pb::Execution& execution, Format format, Context& context) {
  std::ostream& out = context.io.out;
  if (format == Format::kJson) {
    // One object a line, for programs that read while it runs.
    if (auto json = protojson::PrintJson(execution); json.ok()) out << *json << "\n" << std::flush;
    return;
  }
  const std::string head = fmt::format("{} {}", FormatRfc3339(ToWallTime(execution.start_time())),
                                       IdOf(execution.name()));
  for (const std::string& line : execution.logs().stdout()) {
    out << head << " out " << Printable(line) << "\n";
  }
  for (const std::string& line : execution.logs().stderr()) {
    out << head << " err " << Printable(line) << "\n";
  }
  std::string end = fmt::format("{} {} in {}", head, pb::Execution::State_Name(execution.state()),
                                ShortDuration(execution.duration()));
  if (execution.has_error()) {
    end += fmt::format(": {} {}: {}", Printable(execution.error().category()),
                       Printable(execution.error().type()), Printable(execution.error().message()));
  }
  out << end << "\n" << std::flush;
}

absl::StatusOr<pb::ListExecutionsResponse> ListPast(const Options& options, Context& context) {
  pb::ListExecutionsRequest request;
  request.set_parent(context.Parent());
  request.set_function(options.id);
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const WallTime since,
                     ParseTime("--since", options.since, context.clock.Wall()));
    *request.mutable_start_time_from() = ToTimestamp(since);
  }
  return ListAll<pb::ListExecutionsResponse>(
      context, kListExecutions, request, [](auto& page) { return page.mutable_executions(); },
      options.limit);
}

absl::Status Logs(const Options& options, Context& context) {
  const Format format = context.FormatOr(Format::kTable);
  ASSIGN_OR_RETURN(const auto past, ListPast(options, context));
  std::set<std::string> seen;
  for (int i = past.executions_size() - 1; i >= 0; --i) {
    seen.insert(past.executions(i).name());
    PrintRecord(past.executions(i), format, context);
  }
  if (!options.is_following) {
    if (seen.empty()) {
      context.io.err << fmt::format("no executions of function {} are kept\n", IdOf(options.id));
    }
    return absl::OkStatus();
  }
  pb::TailExecutionsRequest request;
  request.set_parent(context.Parent());
  request.set_function(options.id);
  return context.client().Stream<pb::Execution>(kTailExecutions, request,
                                                [&](const pb::Execution& execution) {
                                                  if (seen.size() > kSeenMax) seen.clear();
                                                  if (seen.insert(execution.name()).second)
                                                    PrintRecord(execution, format, context);
                                                  return context.io.out.good();
                                                });
}

}  // namespace

void AddLogsCommand(Cli& cli, CLI::App* function) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = Cli::Add(function, "logs", "Shows what a function wrote, run by run",
                                     "  penstock function logs hello\n"
                                     "  penstock function logs hello --since 10m -f");
  command->add_option("name", options->id, "the function's id")->required();
  command->add_flag("-f,--follow", options->is_following, "go on with new runs until Ctrl-C");
  command->add_option("--since", options->since, "only runs since this time or age, like 10m");
  command->add_option("--limit", options->limit, "at most so many past runs; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(command, [options](Context& context) { return Logs(*options, context); });
}

}  // namespace penstock::cli
