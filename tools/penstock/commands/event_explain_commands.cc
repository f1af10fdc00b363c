#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/event_parts.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;
using Explanation = pb::SubscriptionExplanation;

// How often an event's deliveries are asked for while it is followed.
constexpr std::chrono::milliseconds kAskInterval{250};
// Events that are followed at the same time; an older one is let go.
constexpr std::size_t kFollowedMax = 100;

struct Options {
  std::string id;
  std::string source;
  std::string subscription;
  bool is_all = false;
};

// All pages as one answer.
absl::StatusOr<pb::ExplainEventResponse> Explain(pb::ExplainEventRequest request,
                                                 Context& context) {
  pb::ExplainEventResponse all;
  for (;;) {
    ASSIGN_OR_RETURN(auto page,
                     context.client().Call<pb::ExplainEventResponse>(kExplainEvent, request));
    *all.mutable_event() = std::move(*page.mutable_event());
    for (auto& one : *page.mutable_subscriptions()) *all.add_subscriptions() = std::move(one);
    if (page.next_page_token().empty()) return all;
    request.set_page_token(page.next_page_token());
  }
}

std::string StateText(const Explanation& one) {
  return one.matched() ? Explanation::DeliveryState_Name(one.delivery_state()) : "";
}

std::string ErrorText(const penstock::executions::v1::FunctionError& error) {
  return fmt::format("{}: {}", Printable(error.type()), Printable(error.message()));
}

// What it waits for and until when, or else what went wrong last.
std::string DetailText(const Explanation& one) {
  std::string text = one.waits_for();
  if (one.has_due_time()) {
    text += fmt::format("{}due {}", text.empty() ? "" : "; ",
                        FormatRfc3339(ToWallTime(one.due_time())));
  }
  if (text.empty() && one.has_last_error()) text = ErrorText(one.last_error());
  return text;
}

bool IsFinal(const Explanation& one) {
  return !one.matched() || one.delivery_state() == Explanation::DELIVERED ||
         one.delivery_state() == Explanation::DEAD_LETTER ||
         one.delivery_state() == Explanation::DROPPED;
}

void PrintAttempts(const Explanation& one, Context& context) {
  for (const pb::DeliveryAttempt& attempt : one.attempts()) {
    std::string line =
        fmt::format("  {} attempt {} at {} took {}", IdOf(one.subscription()), attempt.attempt(),
                    FormatRfc3339(ToWallTime(attempt.time())), ShortDuration(attempt.duration()));
    if (attempt.http_status() != 0) line += fmt::format(", HTTP {}", attempt.http_status());
    if (attempt.has_error()) line += ", " + ErrorText(attempt.error());
    if (!attempt.execution().empty()) line += ", execution " + IdOf(attempt.execution());
    context.io.out << line << "\n";
  }
}

absl::Status Run(const Options& options, Context& context) {
  pb::ExplainEventRequest request;
  request.set_space(context.options.space);
  request.set_id(options.id);
  request.set_source(options.source);
  request.set_subscription(options.subscription);
  request.set_all(options.is_all);
  ASSIGN_OR_RETURN(const auto explained, Explain(std::move(request), context));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(explained, format);
  context.io.out << EventLine(explained.event()) << "\n";
  Table table({"SUBSCRIPTION", "MATCHED", "BY", "STATE", "ATTEMPTS", "WAITS FOR, OR LAST ERROR"});
  for (const Explanation& one : explained.subscriptions()) {
    table.AddRow(
        {IdOf(one.subscription()), one.matched() ? "yes" : "no", one.clause(), StateText(one),
         one.attempt_count() > 0 ? std::to_string(one.attempt_count()) : "", DetailText(one)});
  }
  context.Print(table, "no subscription had to do with it; --all shows those of other event types");
  for (const Explanation& one : explained.subscriptions()) PrintAttempts(one, context);
  return absl::OkStatus();
}

// Events whose deliveries are not all final, and what was printed of each.
class Follower {
 public:
  explicit Follower(Context& context)
      : context_(context), is_json_(context.FormatOr(Format::kTable) == Format::kJson) {}

  void Add(const pb::StoredEvent& event) {
    if (!is_json_) context_.io.out << EventLine(event) << "\n" << std::flush;
    if (followed_.size() == kFollowedMax) {
      context_.io.err << fmt::format("note: event {} is no longer followed\n",
                                     followed_.front().sequence);
      followed_.pop_front();
    }
    followed_.push_back({event.sequence(), {}});
  }

  // Asks for every event and prints what has changed; not more often than the interval.
  absl::Status Ask() {
    const MonotonicTime now = context_.clock.Monotonic();
    if (asked_at_ && now - *asked_at_ < kAskInterval) return absl::OkStatus();
    asked_at_ = now;
    for (auto at = followed_.begin(); at != followed_.end();) {
      ASSIGN_OR_RETURN(const bool is_final, AskOne(*at));
      at = is_final ? followed_.erase(at) : std::next(at);
    }
    return absl::OkStatus();
  }

  bool empty() const { return followed_.empty(); }

 private:
  struct Followed {
    std::int64_t sequence = 0;
    std::map<std::string, std::string> shown;  // By subscription.
  };

  absl::StatusOr<bool> AskOne(Followed& followed) {
    pb::ExplainEventRequest request;
    request.set_space(context_.options.space);
    request.set_id(fmt::format("sequence:{}", followed.sequence));
    ASSIGN_OR_RETURN(const auto explained, Explain(std::move(request), context_));
    bool is_final = true;
    for (const Explanation& one : explained.subscriptions()) {
      is_final = is_final && IsFinal(one);
      if (one.matched()) PrintChange(followed, one);
    }
    return is_final;
  }

  void PrintChange(Followed& followed, const Explanation& one) {
    const std::string state = fmt::format("{} attempt {}", StateText(one), one.attempt_count());
    std::string& shown = followed.shown[one.subscription_uid()];
    if (shown == state) return;
    shown = state;
    if (is_json_) {
      if (auto json = protojson::PrintJson(one); json.ok()) {
        context_.io.out << fmt::format("{{\"sequence\": \"{}\", \"delivery\": {}}}\n",
                                       followed.sequence, *json)
                        << std::flush;
      }
      return;
    }
    const std::string detail = DetailText(one);
    context_.io.out << fmt::format("{} {} -> {} {}{}{}\n", FormatRfc3339(context_.clock.Wall()),
                                   followed.sequence, IdOf(one.subscription()), state,
                                   detail.empty() ? "" : ": ", detail)
                    << std::flush;
  }

  Context& context_;
  const bool is_json_;
  std::deque<Followed> followed_;
  std::optional<MonotonicTime> asked_at_;
};

}  // namespace

absl::Status TailExplained(const TailOptions& options, Context& context) {
  ASSIGN_OR_RETURN(const auto request, MakeTailRequest(options, context));
  ASSIGN_OR_RETURN(const auto exchange, context.client().Open(kTailEvents));
  exchange->Send(request);
  exchange->EndSending();
  Follower follower(context);
  int taken = 0;
  bool is_reading = true;
  // What was taken is followed to its end, also when the stream has ended before.
  while (is_reading || !follower.empty()) {
    if (exchange->ended()) {
      std::this_thread::sleep_for(kAskInterval);
    } else {
      ASSIGN_OR_RETURN(const auto received, exchange->Receive<pb::StoredEvent>(kAskInterval));
      if (received && is_reading) {
        follower.Add(*received);
        is_reading = options.limit == 0 || ++taken < options.limit;
      }
      if (exchange->ended()) is_reading = false;
    }
    RETURN_IF_ERROR(follower.Ask());
    if (!context.io.out.good()) break;
  }
  return absl::OkStatus();
}

void AddExplainCommand(Cli& cli, CLI::App* events) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(events, "explain", "Says what became of an event: who got it, who did not, and why",
               "  penstock events explain 6f1c0f8e-…\n"
               "  penstock events explain sequence:17 --all\n"
               "  penstock events explain 17-a --source /shop --subscription s1 -o json");
  command->add_option("id", options->id, "the event's id, or sequence:N")->required();
  command->add_option("--source", options->source, "its source, where the id alone is not unique");
  command->add_option("--subscription", options->subscription, "only this subscription");
  command->add_flag("--all", options->is_all, "also subscriptions of other event types");
  cli.SetAction(command, [options](Context& context) { return Run(*options, context); });
}

}  // namespace penstock::cli
