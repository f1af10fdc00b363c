#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/json_format.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/event_parts.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

struct Options {
  std::string id;
  std::string type;
  std::string source;
  std::string from;
  std::string to;
  int limit = 50;
  bool is_oldest_first = false;
};

Table MakeTable() { return Table({"SEQUENCE", "TYPE", "SOURCE", "ID", "AGE", "DATA"}); }

void AddRow(const pb::StoredEvent& stored, WallTime now, Table& table) {
  const auto& event = stored.event();
  table.AddRow({std::to_string(stored.sequence()), event.type(), event.source(), event.id(),
                AgeOf(stored.append_time(), now), DataText(event)});
}

absl::Status SetRange(const Options& options, WallTime now, pb::ReadEventsRequest* request) {
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

absl::Status List(const Options& options, Context& context) {
  pb::ReadEventsRequest request;
  request.set_space(context.options.space);
  request.set_type(options.type);
  request.set_source(options.source);
  request.set_newest_first(!options.is_oldest_first);
  RETURN_IF_ERROR(SetRange(options, context.clock.Wall(), &request));
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ReadEventsResponse>(
                       context, kReadEvents, request,
                       [](auto& page) { return page.mutable_events(); }, options.limit));
  for (const std::string& range : all.damaged_ranges()) {
    context.io.err << fmt::format("warning: events {} cannot be read: the log is damaged there\n",
                                  Printable(range));
  }
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::StoredEvent& event : all.events()) AddRow(event, context.clock.Wall(), table);
  context.Print(table, fmt::format("no events in space {}", context.options.space));
  return absl::OkStatus();
}

absl::Status Get(const Options& options, Context& context) {
  pb::GetEventRequest request;
  request.set_space(context.options.space);
  request.set_id(options.id);
  request.set_source(options.source);
  ASSIGN_OR_RETURN(const auto event, context.client().Call<pb::StoredEvent>(kGetEvent, request));
  Table table = MakeTable();
  AddRow(event, context.clock.Wall(), table);
  return context.PrintOne(event, table);
}

void PrintTailed(const pb::StoredEvent& stored, Format format, Context& context) {
  if (format != Format::kTable) {
    // One CloudEvent a line, also where YAML was asked for: that is YAML too.
    if (auto json = cloudevents::ToJson(stored.event()); json.ok()) {
      context.io.out << *json << "\n" << std::flush;
    }
    return;
  }
  context.io.out << EventLine(stored) << "\n" << std::flush;
}

absl::Status Tail(const TailOptions& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, MakeTailRequest(options, context));
  const Format format = context.FormatOr(Format::kTable);
  int printed = 0;
  return context.client().Stream<pb::StoredEvent>(
      kTailEvents, request, [&](const pb::StoredEvent& event) {
        PrintTailed(event, format, context);
        ++printed;
        return context.io.out.good() && (options.limit == 0 || printed < options.limit);
      });
}

void AddTail(Cli& cli, CLI::App* parent) {
  const auto options = std::make_shared<TailOptions>();
  const auto is_explained = std::make_shared<bool>(false);
  CLI::App* const tail = Cli::Add(parent, "tail", "Follows events as they are stored, until Ctrl-C",
                                  "  penstock events tail --type 'user.*'\n"
                                  "  penstock events tail --from 10m -o json | jq .type\n"
                                  "  penstock events tail --explain");
  tail->add_option("--type", options->type, "only types that match; * stands for any characters");
  tail->add_option("--source", options->source, "only from this source");
  tail->add_option("--from", options->from, "from this sequence, time or age on (default: now)");
  tail->add_option("--limit", options->limit, "end after so many")->check(CLI::NonNegativeNumber);
  tail->add_flag("--explain", *is_explained, "show the deliveries of each event too");
  cli.SetAction(tail, [options, is_explained](Context& context) {
    return *is_explained ? TailExplained(*options, context) : Tail(*options, context);
  });
}

}  // namespace

std::string DataText(const io::cloudevents::v1::CloudEvent& event) {
  const std::string_view data = cloudevents::Data(event);
  if (GuessContentType(data) == "application/octet-stream") {
    return fmt::format("({} bytes)", data.size());
  }
  return std::string(data.substr(0, 400));
}

std::string EventLine(const pb::StoredEvent& stored) {
  const auto& event = stored.event();
  return fmt::format("{} {} {} {} {} {}", FormatRfc3339(ToWallTime(stored.append_time())),
                     stored.sequence(), CellText(event.type()), CellText(event.source()),
                     CellText(event.id()), CellText(DataText(event)));
}

absl::StatusOr<pb::TailEventsRequest> MakeTailRequest(const TailOptions& options,
                                                      Context& context) {
  pb::TailEventsRequest request;
  request.set_space(context.options.space);
  request.set_type(options.type);
  request.set_source(options.source);
  if (options.from.empty()) return request;
  ASSIGN_OR_RETURN(const LogPoint from,
                   ParseLogPoint("--from", options.from, context.clock.Wall()));
  if (const auto* sequence = std::get_if<std::int64_t>(&from)) {
    request.set_from_sequence(*sequence);
    return request;
  }
  pb::ReadEventsRequest read;
  read.set_space(context.options.space);
  *read.mutable_from_time() = ToTimestamp(std::get<WallTime>(from));
  read.set_page_size(1);
  ASSIGN_OR_RETURN(const auto page,
                   context.client().Call<pb::ReadEventsResponse>(kReadEvents, read));
  if (page.events_size() > 0) request.set_from_sequence(page.events(0).sequence());
  return request;
}

void AddEventCommands(Cli& cli) {
  CLI::App* const parent = Cli::Add(&cli.root(), "events", "Stored events", "");
  parent->alias("event")->require_subcommand(1);

  const auto listed = std::make_shared<Options>();
  CLI::App* const list = Cli::Add(parent, "list", "Lists stored events, newest first",
                                  "  penstock events list --type 'user.*' --from 1h\n"
                                  "  penstock events list --from 100 --to 200 --oldest-first");
  list->add_option("--type", listed->type, "only types that match; * stands for any characters");
  list->add_option("--source", listed->source, "only from this source");
  list->add_option("--from", listed->from, "from this sequence, time or age on");
  list->add_option("--to", listed->to, "up to this sequence, or before this time or age");
  list->add_option("--limit", listed->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  list->add_flag("--oldest-first", listed->is_oldest_first, "in log order");
  cli.SetAction(list, [listed](Context& context) { return List(*listed, context); });

  const auto got = std::make_shared<Options>();
  CLI::App* const get = Cli::Add(parent, "get", "Shows an event",
                                 "  penstock events get 6f1c0f8e-…\n"
                                 "  penstock events get sequence:17");
  get->add_option("id", got->id, "the event's id, or sequence:N")->required();
  get->add_option("--source", got->source, "its source, where the id alone is not unique");
  cli.SetAction(get, [got](Context& context) { return Get(*got, context); });

  AddTail(cli, parent);
  AddExplainCommand(cli, parent);
  AddScheduledCommands(cli, parent);
  AddPullCommand(cli, parent);
}

}  // namespace penstock::cli
