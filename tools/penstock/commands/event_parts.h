// What the `events` commands share.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/penstock/commands/cli.h"

namespace penstock::cli {

// An event's data as text for a line: cut, or its size when it is no text.
std::string DataText(const io::cloudevents::v1::CloudEvent& event);

// "<append time> <sequence> <type> <source> <id> <data>".
std::string EventLine(const events::v1::StoredEvent& stored);

// What `events tail` follows, and how long.
struct TailOptions {
  std::string type;
  std::string source;
  std::string from;
  int limit = 0;
};

// The request of a tail; a time in `from` is looked up on the server.
absl::StatusOr<events::v1::TailEventsRequest> MakeTailRequest(const TailOptions& options,
                                                              Context& context);

// Prints each new event and then what becomes of it, until each is delivered or given up.
absl::Status TailExplained(const TailOptions& options, Context& context);

// `events explain`.
void AddExplainCommand(Cli& cli, CLI::App* events);
// `events scheduled list|get|cancel`.
void AddScheduledCommands(Cli& cli, CLI::App* events);
// `events pull`.
void AddPullCommand(Cli& cli, CLI::App* events);

}  // namespace penstock::cli
