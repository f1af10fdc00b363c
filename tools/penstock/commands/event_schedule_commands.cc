#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <memory>

#include "libs/base/status.h"
#include "tools/penstock/commands/event_parts.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/paging.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

struct Options {
  std::string id;
  std::string event_id;
  int limit = 50;
};

Table MakeTable() { return Table({"ID", "DUE", "TYPE", "SOURCE", "EVENT", "DATA"}); }

void AddRow(const pb::ScheduledEvent& scheduled, Table& table) {
  const auto& event = scheduled.event();
  table.AddRow({IdOf(scheduled.name()), FormatRfc3339(ToWallTime(scheduled.due_time())),
                event.type(), event.source(), event.id(), DataText(event)});
}

absl::Status List(const Options& options, Context& context) {
  pb::ListScheduledEventsRequest request;
  request.set_parent(context.Parent());
  request.set_event_id(options.event_id);
  ASSIGN_OR_RETURN(const auto all,
                   ListAll<pb::ListScheduledEventsResponse>(
                       context, kListScheduledEvents, request,
                       [](auto& page) { return page.mutable_scheduled_events(); }, options.limit));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(all, format);
  Table table = MakeTable();
  for (const pb::ScheduledEvent& scheduled : all.scheduled_events()) AddRow(scheduled, table);
  context.Print(table, fmt::format("no scheduled events in space {}", context.options.space));
  return absl::OkStatus();
}

template <typename Request>
Cli::Action ByName(const char* method, std::shared_ptr<Options> options) {
  return [method, options](Context& context) -> absl::Status {
    Request request;
    request.set_name(context.NameOf("scheduledEvents", options->id));
    ASSIGN_OR_RETURN(const auto scheduled,
                     context.client().Call<pb::ScheduledEvent>(method, request));
    Table table = MakeTable();
    AddRow(scheduled, table);
    return context.PrintOne(scheduled, table);
  };
}

}  // namespace

void AddScheduledCommands(Cli& cli, CLI::App* events) {
  CLI::App* const parent = Cli::Add(
      events, "scheduled", "Events that are published later (deliverat, deliverafter)", "");
  parent->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  CLI::App* const list = Cli::Add(parent, "list", "Lists them, the next one first",
                                  "  penstock events scheduled list\n"
                                  "  penstock events scheduled list --event-id 17-a");
  list->add_option("--event-id", options->event_id, "only with this event id");
  list->add_option("--limit", options->limit, "at most so many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  cli.SetAction(list, [options](Context& context) { return List(*options, context); });

  CLI::App* const get =
      Cli::Add(parent, "get", "Shows a scheduled event", "  penstock events scheduled get 4f1c…");
  get->add_option("id", options->id, "its id, as the list shows it")->required();
  cli.SetAction(get, ByName<pb::GetScheduledEventRequest>(kGetScheduledEvent, options));

  CLI::App* const cancel = Cli::Add(parent, "cancel", "Takes an event back that is not due yet",
                                    "  penstock events scheduled cancel 4f1c…");
  cancel->add_option("id", options->id, "its id, as the list shows it")->required();
  cli.SetAction(cancel, ByName<pb::CancelScheduledEventRequest>(kCancelScheduledEvent, options));
}

}  // namespace penstock::cli
