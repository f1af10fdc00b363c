#include <fmt/format.h>
#include <grpc/health/v1/health.pb.h>
#include <penstock/events/v1/broker.pb.h>
#include <penstock/events/v1/catalog.pb.h>
#include <penstock/executions/v1/executor.pb.h>
#include <penstock/functions/v1/manager.pb.h>

#include "libs/base/status.h"
#include "libs/config/version.h"
#include "libs/protojson/json_writer.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"

namespace penstock::cli {
namespace {

constexpr int kCountMax = 1000;

// What is known of one service.
struct ServiceStatus {
  std::string name;
  bool is_ready = false;
  std::string detail;
};

// "1 function", "17 functions", or "1000+ functions" when there are more pages.
std::string CountText(int count, const std::string& next_page_token, std::string_view noun) {
  return fmt::format("{}{} {}{}", count, next_page_token.empty() ? "" : "+", noun,
                     count == 1 ? "" : "s");
}

absl::StatusOr<std::string> AskGateway(Context& context) {
  grpc::health::v1::HealthCheckRequest request;
  ASSIGN_OR_RETURN(const auto answer, context.client().Call<grpc::health::v1::HealthCheckResponse>(
                                          kHealthCheck, request));
  if (answer.status() != grpc::health::v1::HealthCheckResponse::SERVING) {
    return absl::UnavailableError(
        grpc::health::v1::HealthCheckResponse::ServingStatus_Name(answer.status()));
  }
  return fmt::format("at {}", context.options.server);
}

absl::StatusOr<std::string> AskManager(Context& context) {
  functions::v1::ListFunctionsRequest request;
  request.set_parent(context.Parent());
  request.set_page_size(kCountMax);
  ASSIGN_OR_RETURN(const auto page, context.client().Call<functions::v1::ListFunctionsResponse>(
                                        kListFunctions, request));
  return CountText(page.functions_size(), page.next_page_token(), "function");
}

absl::StatusOr<std::string> AskExecutor(Context& context) {
  executions::v1::ListExecutionsRequest request;
  request.set_parent(context.Parent());
  request.set_page_size(1);
  ASSIGN_OR_RETURN(const auto page, context.client().Call<executions::v1::ListExecutionsResponse>(
                                        kListExecutions, request));
  if (page.executions_size() == 0) return "no executions kept";
  return fmt::format("last execution {} ago",
                     AgeOf(page.executions(0).start_time(), context.clock.Wall()));
}

absl::StatusOr<std::string> AskBroker(Context& context) {
  events::v1::ListSubscriptionsRequest subscriptions;
  subscriptions.set_parent(context.Parent());
  subscriptions.set_page_size(kCountMax);
  ASSIGN_OR_RETURN(const auto page, context.client().Call<events::v1::ListSubscriptionsResponse>(
                                        kListSubscriptions, subscriptions));
  events::v1::ListDeadLettersRequest letters;
  letters.set_parent(context.Parent());
  letters.set_page_size(kCountMax);
  ASSIGN_OR_RETURN(const auto dead, context.client().Call<events::v1::ListDeadLettersResponse>(
                                        kListDeadLetters, letters));
  events::v1::ReadEventsRequest events;
  events.set_space(context.options.space);
  events.set_page_size(1);
  events.set_newest_first(true);
  ASSIGN_OR_RETURN(const auto newest,
                   context.client().Call<events::v1::ReadEventsResponse>(kReadEvents, events));
  std::string text = fmt::format(
      "{}, {}", CountText(page.subscriptions_size(), page.next_page_token(), "subscription"),
      CountText(dead.dead_letters_size(), dead.next_page_token(), "dead letter"));
  if (newest.events_size() > 0) {
    text += fmt::format(", newest event {} ({} ago)", newest.events(0).sequence(),
                        AgeOf(newest.events(0).append_time(), context.clock.Wall()));
  }
  return text;
}

std::string ToJson(const std::vector<ServiceStatus>& services) {
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  writer.BeginObject();
  writer.Key("clientVersion");
  writer.String(config::Version());
  writer.Key("services");
  writer.BeginArray();
  for (const ServiceStatus& service : services) {
    writer.BeginObject();
    writer.Key("name");
    writer.String(service.name);
    writer.Key("ready");
    writer.Bool(service.is_ready);
    writer.Key("detail");
    writer.String(service.detail);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return json;
}

absl::Status ShowStatus(Context& context) {
  std::vector<ServiceStatus> services;
  const auto add = [&](const char* name, const absl::StatusOr<std::string>& answer) {
    services.push_back(
        {name, answer.ok(), answer.ok() ? *answer : std::string(answer.status().message())});
    if (!answer.ok()) context.exit_code = kExitError;
  };
  const auto gateway = AskGateway(context);
  // Without the gateway nothing else can be asked.
  if (ExitCodeOf(gateway.status()) == kExitNotReachable) return gateway.status();
  add("gateway", gateway);
  add("event-broker", AskBroker(context));
  add("function-manager", AskManager(context));
  add("function-executor", AskExecutor(context));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.PrintJson(ToJson(services), format);
  Table table({"SERVICE", "STATUS", "DETAIL"});
  for (const ServiceStatus& service : services) {
    table.AddRow({service.name, service.is_ready ? "ready" : "not ready", service.detail});
  }
  context.io.out << table.ToString();
  return absl::OkStatus();
}

}  // namespace

void AddStatusCommand(Cli& cli) {
  CLI::App* const command =
      Cli::Add(&cli.root(), "status", "Says which services answer, and what they hold",
               "  penstock status\n"
               "  penstock status --server gateway.example:8082 -o json\n"
               "Exit code 1 means that a service is not ready.");
  cli.SetAction(command, [](Context& context) { return ShowStatus(context); });
}

}  // namespace penstock::cli
