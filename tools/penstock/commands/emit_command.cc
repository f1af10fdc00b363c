#include <fmt/format.h>
#include <penstock/events/v1/broker.pb.h>

#include <algorithm>
#include <memory>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/validate.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = events::v1;

// What the server takes in one batch.
constexpr int kBatchMax = 256;
constexpr std::size_t kBatchBytesMax = 4 * 1024 * 1024;

struct Options {
  std::string type;
  std::string data;
  std::string content_type;
  std::string source = "/penstock/cli";
  std::string id;
  std::string subject;
  std::string time;
  std::string deliver_at;
  std::string deliver_after;
  std::vector<std::string> extensions;
  int count = 1;
};

absl::StatusOr<cloudevents::CloudEvent> MakeEvent(const Options& options, Context& context) {
  cloudevents::CloudEvent event;
  event.set_spec_version(std::string(cloudevents::kSpecVersion));
  event.set_type(options.type);
  event.set_source(options.source);
  event.set_id(options.id.empty() ? NewUuid() : options.id);
  const auto set = [&](std::string_view name, std::string_view text) -> absl::Status {
    if (text.empty()) return absl::OkStatus();
    return cloudevents::SetAttributeFromText(name, text, &event);
  };
  RETURN_IF_ERROR(set("subject", options.subject));
  RETURN_IF_ERROR(
      set("time", options.time.empty() ? FormatRfc3339(context.clock.Wall()) : options.time));
  RETURN_IF_ERROR(set("deliverat", options.deliver_at));
  if (!options.deliver_after.empty()) {
    ASSIGN_OR_RETURN(const Microseconds delay,
                     ParseTimeout("--deliver-after", options.deliver_after));
    RETURN_IF_ERROR(set("deliverat", FormatRfc3339(context.clock.Wall() + delay)));
  }
  google::protobuf::Map<std::string, std::string> extensions;
  RETURN_IF_ERROR(ParsePairs("--extension", options.extensions, &extensions));
  for (const auto& [name, value] : extensions) RETURN_IF_ERROR(set(name, value));
  ASSIGN_OR_RETURN(std::string data, ReadData(options.data, context.io.in));
  const std::string content_type =
      options.content_type.empty() ? GuessContentType(data) : options.content_type;
  RETURN_IF_ERROR(set("datacontenttype", content_type));
  if (!data.empty()) event.set_binary_data(std::move(data));
  RETURN_IF_ERROR(cloudevents::Validate(event));
  return event;
}

absl::Status RefusalOf(const pb::PublishReceipt& receipt) {
  if (receipt.error_code() == 0) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(receipt.error_code()), receipt.error_message());
}

absl::Status PrintReceipt(const pb::PublishReceipt& receipt, Context& context) {
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(receipt, format);
  std::string line = fmt::format("{} id={}", pb::PublishReceipt::Status_Name(receipt.status()),
                                 Printable(receipt.id()));
  if (receipt.sequence() > 0) line += fmt::format(" sequence={}", receipt.sequence());
  if (receipt.has_due_time()) {
    line += fmt::format(" due={}", FormatRfc3339(ToWallTime(receipt.due_time())));
  }
  context.io.out << line << "\n";
  if (receipt.content_differs()) {
    context.io.err << "warning: an event with this source and id but other content is stored\n";
  }
  return absl::OkStatus();
}

absl::Status EmitOne(cloudevents::CloudEvent event, Context& context) {
  pb::PublishRequest request;
  request.set_space(context.options.space);
  const std::string id = event.id();
  *request.mutable_event() = std::move(event);
  const auto receipt = context.client().Call<pb::PublishReceipt>(kPublish, request);
  if (!receipt.ok()) {
    if (ExitCodeOf(receipt.status()) == kExitError) {
      context.io.err << fmt::format("note: it is safe to send it again with --id {}\n", id);
    }
    return receipt.status();
  }
  RETURN_IF_ERROR(RefusalOf(*receipt));
  return PrintReceipt(*receipt, context);
}

// Emits copies that differ in their id, in batches.
absl::Status EmitMany(const Options& options, const cloudevents::CloudEvent& event,
                      Context& context) {
  const std::size_t bytes = std::max<std::size_t>(1, event.ByteSizeLong());
  const int batch = std::clamp(static_cast<int>(kBatchBytesMax / bytes), 1, kBatchMax);
  std::int64_t accepted = 0;
  std::int64_t duplicates = 0;
  for (int sent = 0; sent < options.count;) {
    pb::PublishBatchRequest request;
    request.set_space(context.options.space);
    const int end = std::min(options.count, sent + batch);
    for (; sent < end; ++sent) {
      auto& copy = *request.add_events();
      copy = event;
      copy.set_id(options.id.empty() ? NewUuid() : fmt::format("{}-{}", options.id, sent + 1));
    }
    ASSIGN_OR_RETURN(const auto answer,
                     context.client().Call<pb::PublishBatchResponse>(kPublishBatch, request));
    for (const pb::PublishReceipt& receipt : answer.receipts()) {
      RETURN_IF_ERROR(RefusalOf(receipt));
      ++(receipt.status() == pb::PublishReceipt::DUPLICATE ? duplicates : accepted);
    }
    if (context.io.is_err_terminal) {
      context.io.err << fmt::format("\r{} of {} events", sent, options.count) << std::flush;
    }
  }
  if (context.io.is_err_terminal) context.io.err << "\n";
  context.io.out << fmt::format("{} accepted, {} duplicates\n", accepted, duplicates);
  return absl::OkStatus();
}

absl::Status Emit(const Options& options, Context& context) {
  ASSIGN_OR_RETURN(auto event, MakeEvent(options, context));
  if (options.count == 1) return EmitOne(std::move(event), context);
  return EmitMany(options, event, context);
}

}  // namespace

void AddEmitCommand(Cli& cli) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(&cli.root(), "emit", "Publishes an event; the answer comes when it is durable",
               "  penstock emit user.created --data '{\"name\": \"Ada\"}'\n"
               "  penstock emit order.paid --data @order.json --source /shop --subject 17\n"
               "  penstock emit reminder --deliver-after 10m\n"
               "  penstock emit load.test --count 10000 --extension partitionkey=a");
  command->add_option("type", options->type, "the event's type")->required();
  command->add_option("-d,--data", options->data, "the data; @FILE reads a file, - standard input");
  command->add_option("--content-type", options->content_type,
                      "of the data (default: what it looks like)");
  command->add_option("--source", options->source, "the event's source, a URI reference")
      ->capture_default_str();
  command->add_option("--id", options->id, "the event's id (default: a new uuid)");
  command->add_option("--subject", options->subject, "the event's subject");
  command->add_option("--time", options->time, "when it happened (default: now)");
  const auto at = command->add_option("--deliver-at", options->deliver_at,
                                      "publish it then, like 2026-01-02T03:04:05Z");
  command->add_option("--deliver-after", options->deliver_after, "publish it after so long")
      ->excludes(at);
  AddList(command, "--extension", &options->extensions, "NAME=VALUE attribute; repeatable");
  command->add_option("--count", options->count, "publish so many copies, each with its own id")
      ->check(CLI::Range(1, 10'000'000));
  cli.SetAction(command, [options](Context& context) { return Emit(*options, context); });
}

}  // namespace penstock::cli
