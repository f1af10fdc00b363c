#include <fmt/format.h>
#include <penstock/events/v1/catalog.pb.h>

#include <chrono>
#include <memory>
#include <thread>

#include "libs/base/status.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

constexpr std::chrono::milliseconds kWatchInterval{500};

struct Options {
  std::string subscription;
  std::string replay;
  std::string from;
  std::string to;
  int rate = 0;
  int limit = 50;
  bool is_dry_run = false;
  bool is_watching = false;
};

bool HasEnded(const pb::Replay& replay) {
  return replay.state() == pb::Replay::DONE || replay.state() == pb::Replay::CANCELLED;
}

// How much of the range is done. Sequences have gaps, so this is what it looks like, no more.
std::string ProgressText(const pb::Replay& replay) {
  if (replay.state() == pb::Replay::DONE) return "100%";
  const std::int64_t size = replay.to_sequence() - replay.from_sequence() + 1;
  const std::int64_t done =
      std::clamp<std::int64_t>(replay.floor_sequence() - replay.from_sequence() + 1, 0, size);
  return size <= 0 ? "" : fmt::format("{}%", done * 100 / size);
}

Table MakeTable() {
  return Table({"REPLAY", "STATE", "FROM", "TO", "RATE", "PROGRESS", "MATCHED", "DELIVERED",
                "DEAD LETTERS", "AGE"});
}

void AddRow(const pb::Replay& replay, WallTime now, Table& table) {
  table.AddRow({IdOf(replay.name()), pb::Replay::State_Name(replay.state()),
                std::to_string(replay.from_sequence()), std::to_string(replay.to_sequence()),
                replay.rate_per_second() == 0 ? "" : fmt::format("{}/s", replay.rate_per_second()),
                ProgressText(replay), std::to_string(replay.matched_count()),
                std::to_string(replay.delivered_count()),
                std::to_string(replay.dead_letter_count()), AgeOf(replay.create_time(), now)});
}

absl::Status Show(const pb::Replay& replay, Context& context) {
  Table table = MakeTable();
  AddRow(replay, context.clock.Wall(), table);
  return context.PrintOne(replay, table);
}

// "s1" and "r1" as one name; a full name may stand for both.
std::string NameOf(const Options& options, const Context& context) {
  if (options.replay.starts_with("spaces/")) return options.replay;
  return context.NameOf("subscriptions", options.subscription) + "/replays/" + options.replay;
}

// Asks until the replay has ended, and shows each change: over the same line where a person looks.
absl::Status Watch(const std::string& name, Context& context) {
  pb::GetReplayRequest request;
  request.set_name(name);
  std::string shown;
  for (;;) {
    ASSIGN_OR_RETURN(const auto replay, context.client().Call<pb::Replay>(kGetReplay, request));
    const std::string line =
        fmt::format("{} {}: {} matched, {} delivered, {} dead letters",
                    pb::Replay::State_Name(replay.state()), ProgressText(replay),
                    replay.matched_count(), replay.delivered_count(), replay.dead_letter_count());
    if (line != shown && context.io.is_err_terminal) {
      context.io.err << fmt::format("\r{:<78}", line) << std::flush;
    } else if (line != shown) {
      context.io.err << line << "\n" << std::flush;
    }
    shown = line;
    if (!HasEnded(replay)) {
      std::this_thread::sleep_for(kWatchInterval);
      continue;
    }
    if (context.io.is_err_terminal) context.io.err << "\n";
    if (replay.state() == pb::Replay::CANCELLED) context.exit_code = kExitError;
    return context.FormatOr(Format::kTable) == Format::kTable ? absl::OkStatus()
                                                              : Show(replay, context);
  }
}

absl::Status SetRange(const Options& options, WallTime now,
                      pb::ReplaySubscriptionRequest* request) {
  if (!options.from.empty()) {
    ASSIGN_OR_RETURN(const LogPoint from, ParseLogPoint("--from", options.from, now));
    if (const auto* sequence = std::get_if<std::int64_t>(&from)) {
      request->set_from_sequence(*sequence);
    } else {
      *request->mutable_from_time() = ToTimestamp(std::get<WallTime>(from));
    }
  }
  if (!options.to.empty()) {
    ASSIGN_OR_RETURN(const LogPoint to, ParseLogPoint("--to", options.to, now));
    if (const auto* sequence = std::get_if<std::int64_t>(&to)) {
      request->set_to_sequence(*sequence);
    } else {
      *request->mutable_to_time() = ToTimestamp(std::get<WallTime>(to));
    }
  }
  return absl::OkStatus();
}

absl::Status Start(const Options& options, Context& context) {
  pb::ReplaySubscriptionRequest request;
  request.set_name(context.NameOf("subscriptions", options.subscription));
  request.set_dry_run(options.is_dry_run);
  request.set_rate_per_second(options.rate);
  RETURN_IF_ERROR(SetRange(options, context.clock.Wall(), &request));
  ASSIGN_OR_RETURN(const auto answer, context.client().Call<pb::ReplaySubscriptionResponse>(
                                          kReplaySubscription, request));
  const Format format = context.FormatOr(Format::kTable);
  if (options.is_dry_run) {
    if (format != Format::kTable) return context.Print(answer, format);
    context.io.out << fmt::format("{} events match and would be delivered again\n",
                                  answer.matched_count());
    return absl::OkStatus();
  }
  const pb::Replay& replay = answer.replay();
  if (format == Format::kTable) {
    context.io.out << fmt::format("replay \"{}\" of subscription \"{}\" started: {} to {}\n",
                                  IdOf(replay.name()), IdOf(options.subscription),
                                  replay.from_sequence(), replay.to_sequence())
                   << std::flush;
  } else if (!options.is_watching) {
    return context.Print(answer, format);
  }
  return options.is_watching ? Watch(replay.name(), context) : absl::OkStatus();
}

absl::Status List(const Options& options, Context& context) {
  pb::ListReplaysRequest request;
  request.set_parent(context.NameOf("subscriptions", options.subscription));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListReplaysResponse>(
                       context, kListReplays, request,
                       [](auto& page) { return page.mutable_replays(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::Replay& replay : all.replays()) AddRow(replay, context.clock.Wall(), table);
  context.Print(table, fmt::format("no replays of subscription {}", IdOf(options.subscription)));
  return absl::OkStatus();
}

// `get`, `pause`, `resume` and `cancel`: a request with nothing but the name.
template <typename Request>
Cli::Action ByName(const char* method, std::shared_ptr<Options> options) {
  return [method, options](Context& context) -> absl::Status {
    Request request;
    request.set_name(NameOf(*options, context));
    ASSIGN_OR_RETURN(const auto replay, context.client().Call<pb::Replay>(method, request));
    return Show(replay, context);
  };
}

void AddStart(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(parent, "start", "Delivers a part of the log again, beside what is new",
               "  penstock replay start s1 --from 1h --dry-run\n"
               "  penstock replay start s1 --from 100 --to 200 --rate 50 --watch\n"
               "  penstock replay start s1");
  command->add_option("subscription", options->subscription, "the subscription's id")->required();
  command->add_option("--from", options->from,
                      "from this sequence, time or age on (default: the oldest event)");
  command->add_option("--to", options->to,
                      "up to this sequence, or before this time or age (default: the newest)");
  command->add_option("--rate", options->rate, "events a second (default: no limit)")
      ->check(CLI::Range(1, 1'000'000));
  command->add_flag("--dry-run", options->is_dry_run, "count what matches, and send nothing");
  command->add_flag("--watch", options->is_watching, "show its progress until it has ended");
  cli.SetAction(command, [options](Context& context) { return Start(*options, context); });
}

CLI::App* AddNamed(CLI::App* parent, const std::string& verb, const std::string& summary,
                   Options* options) {
  CLI::App* const command =
      Cli::Add(parent, verb, summary, fmt::format("  penstock replay {} s1 4f1c", verb));
  command->add_option("subscription", options->subscription, "the subscription's id")->required();
  command->add_option("replay", options->replay, "the replay's id")->required();
  return command;
}

}  // namespace

void AddReplayCommands(Cli& cli) {
  CLI::App* const parent =
      Cli::Add(&cli.root(), "replay", "Replays: parts of the log that are delivered again", "");
  parent->alias("replays")->require_subcommand(1);
  AddStart(cli, parent);

  const auto options = std::make_shared<Options>();
  CLI::App* const list = Cli::Add(parent, "list", "Lists a subscription's replays, newest first",
                                  "  penstock replay list s1");
  list->add_option("subscription", options->subscription, "the subscription's id")->required();
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });

  CLI::App* const get = AddNamed(parent, "get", "Shows a replay", options.get());
  get->add_flag("--watch", options->is_watching, "show its progress until it has ended");
  const auto show = ByName<pb::GetReplayRequest>(kGetReplay, options);
  cli.SetAction(get, [options, show](Context& context) {
    return options->is_watching ? Watch(NameOf(*options, context), context) : show(context);
  });
  cli.SetAction(AddNamed(parent, "pause", "Sends nothing new of a replay", options.get()),
                ByName<pb::PauseReplayRequest>(kPauseReplay, options));
  cli.SetAction(AddNamed(parent, "resume", "Goes on with a replay", options.get()),
                ByName<pb::ResumeReplayRequest>(kResumeReplay, options));
  cli.SetAction(AddNamed(parent, "cancel", "Gives a replay up", options.get()),
                ByName<pb::CancelReplayRequest>(kCancelReplay, options));
}

}  // namespace penstock::cli
