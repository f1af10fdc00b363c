#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/event_parts.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

// How long the server may take to end the stream after the last acknowledgement.
constexpr std::chrono::milliseconds kGoodbye{5'000};

struct Options {
  std::string id;
  int credit = 16;
  int limit = 0;
  std::string wait;
  bool is_unacknowledged = false;
  bool is_refused = false;
  std::string delay;
  std::string reason;
};

void Print(const pb::ReceivedEvent& received, Format format, Context& context) {
  if (format != Format::kTable) {
    // One object a line, for programs that read while it runs.
    if (auto json = protojson::PrintJson(received); json.ok()) {
      context.io.out << *json << "\n" << std::flush;
    }
    return;
  }
  context.io.out << fmt::format("{} attempt {} {}\n", Printable(received.delivery_id()),
                                received.attempt(), EventLine(received.event()))
                 << std::flush;
}

// What is said about one event.
absl::Status Settle(const Options& options, const pb::ReceivedEvent& received,
                    pb::SubscribeRequest* answer) {
  if (options.is_unacknowledged) return absl::OkStatus();
  if (!options.is_refused) {
    answer->add_acks(received.delivery_id());
    return absl::OkStatus();
  }
  pb::Nack& nack = *answer->add_nacks();
  nack.set_delivery_id(received.delivery_id());
  nack.set_reason(options.reason);
  if (options.delay.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Microseconds delay, ParseTimeout("--delay", options.delay));
  *nack.mutable_delay() = ToProtoDuration(delay);
  return absl::OkStatus();
}

// Waits for the server's end of the stream, so that the last acknowledgements have arrived.
absl::Status SayGoodbye(Exchange& exchange, const Clock& clock) {
  exchange.EndSending();
  const MonotonicTime give_up = clock.Monotonic() + kGoodbye;
  while (!exchange.ended() && clock.Monotonic() < give_up) {
    RETURN_IF_ERROR(
        exchange.Receive<pb::SubscribeResponse>(std::chrono::milliseconds(100)).status());
  }
  if (exchange.ended()) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "the server did not say that it has the acknowledgements; the events may come again");
}

absl::Status Pull(const Options& options, Context& context) {
  std::optional<std::chrono::milliseconds> wait;
  if (!options.wait.empty()) {
    ASSIGN_OR_RETURN(const Microseconds given, ParseTimeout("--wait", options.wait));
    wait = std::chrono::ceil<std::chrono::milliseconds>(given);
  }
  ASSIGN_OR_RETURN(const auto exchange, context.client().Open(kSubscribe));
  pb::SubscribeRequest first;
  first.set_subscription(context.NameOf("subscriptions", options.id));
  // Never more than what is wanted: what comes beyond that would wait for its timeout elsewhere.
  int unasked = options.limit;
  const auto next_credit = [&](int wanted) {
    if (options.limit == 0) return wanted;
    const int given = std::min(wanted, unasked);
    unasked -= given;
    return given;
  };
  first.set_credit(next_credit(options.credit));
  exchange->Send(first);
  const Format format = context.FormatOr(Format::kTable);
  int taken = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const auto response, exchange->Receive<pb::SubscribeResponse>(wait));
    if (!response) break;  // Nothing came for so long, or the server has ended it.
    pb::SubscribeRequest answer;
    for (const pb::ReceivedEvent& received : response->events()) {
      Print(received, format, context);
      RETURN_IF_ERROR(Settle(options, received, &answer));
    }
    taken += response->events_size();
    answer.set_credit(next_credit(response->events_size()));
    exchange->Send(answer);
    if (!context.io.out.good() || (options.limit > 0 && taken >= options.limit)) break;
  }
  if (exchange->ended()) return absl::OkStatus();
  return SayGoodbye(*exchange, context.clock);
}

}  // namespace

void AddPullCommand(Cli& cli, CLI::App* events) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(events, "pull", "Consumes a pull subscription: prints and acknowledges its events",
               "  penstock events pull jobs\n"
               "  penstock events pull jobs --limit 10 -o json\n"
               "  penstock events pull jobs --wait 2s                 # what is there, then end\n"
               "  penstock events pull jobs --nack --delay 30s --reason 'not today'");
  command->add_option("subscription", options->id, "the subscription's id")->required();
  command->add_option("--credit", options->credit, "events that may be on their way at a time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--limit", options->limit, "end after so many")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--wait", options->wait, "end when nothing came for so long, like 5s");
  const auto keep = command->add_flag("--no-ack", options->is_unacknowledged,
                                      "do not acknowledge: they come again after the timeout");
  command->add_flag("--nack", options->is_refused, "say that each failed")->excludes(keep);
  command->add_option("--delay", options->delay, "with --nack: try again after so long");
  command->add_option("--reason", options->reason, "with --nack: why");
  cli.SetAction(command, [options](Context& context) { return Pull(*options, context); });
}

}  // namespace penstock::cli
