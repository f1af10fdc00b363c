#include <fmt/format.h>
#include <penstock/executions/v1/batch.pb.h>
#include <penstock/executions/v1/executor.pb.h>

#include <algorithm>
#include <memory>

#include "libs/base/status.h"
#include "libs/protojson/json_tree.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"
#include "tools/penstock/client/errors.h"
#include "tools/penstock/commands/methods.h"
#include "tools/penstock/commands/register.h"
#include "tools/penstock/input/values.h"

namespace penstock::cli {
namespace {

namespace pb = executions::v1;

// A function may take up to 15 minutes; the server ends the call at the function's own limit.
constexpr std::chrono::milliseconds kWaitMax = std::chrono::minutes(16);
// For the way there and back when --timeout limits the function.
constexpr std::chrono::milliseconds kMargin = std::chrono::seconds(5);

struct Options {
  std::string id;
  std::string data;
  std::string content_type;
  std::string batch;
  std::string sticky_key;
  std::string idempotency_key;
  bool has_logs = true;
  bool is_async = false;
  std::string on_success;
  std::string on_failure;
  std::string callback;
};

void PrintLogs(const pb::Logs& logs, std::ostream& err) {
  for (const std::string& line : logs.stdout()) err << Printable(line) << "\n";
  for (const std::string& line : logs.stderr()) err << Printable(line) << "\n";
  if (logs.truncated()) err << "note: the function wrote more than is kept\n";
}

void PrintError(const pb::FunctionError& error, const std::string& execution, std::ostream& err) {
  err << fmt::format("error: {} {}: {}\n", Printable(error.category()), Printable(error.type()),
                     Printable(error.message()));
  for (const std::string& frame : error.stacktrace()) err << "    " << Printable(frame) << "\n";
  if (!execution.empty()) {
    err << fmt::format("hint: the record is `penstock executions get {}`\n", IdOf(execution));
  }
}

void PrintPayload(const google::api::HttpBody& payload, std::ostream& out) {
  out << payload.data();
  const std::string& type = payload.content_type();
  const bool is_text = type.find("json") != std::string::npos || type.starts_with("text/");
  if (is_text && !payload.data().empty() && !payload.data().ends_with('\n')) out << "\n";
}

// The answer as one JSON object, with the payload as JSON, text or base64.
absl::StatusOr<std::string> AnswerJson(const pb::InvokeResponse& answer) {
  std::string json;
  protojson::JsonWriter writer(&json, /*pretty=*/true);
  writer.BeginObject();
  writer.Key("execution");
  writer.String(answer.execution());
  writer.Key("functionVersion");
  writer.IntString(answer.function_version());
  if (answer.has_payload()) {
    const std::string& data = answer.payload().data();
    const std::string guessed = GuessContentType(data);
    writer.Key("contentType");
    writer.String(answer.payload().content_type());
    const bool is_binary = guessed == "application/octet-stream";
    writer.Key(is_binary ? "payloadBase64" : "payload");
    if (is_binary) {
      writer.Base64(data);
    } else if (guessed == "application/json") {
      writer.RawJson(data);
    } else {
      writer.String(data);
    }
  }
  const auto append = [&](const char* key, const google::protobuf::Message& part) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string text, protojson::PrintJson(part));
    writer.Key(key);
    writer.RawJson(text);
    return absl::OkStatus();
  };
  if (answer.has_error()) RETURN_IF_ERROR(append("error", answer.error()));
  if (answer.has_logs()) RETURN_IF_ERROR(append("logs", answer.logs()));
  if (answer.has_duration()) RETURN_IF_ERROR(append("duration", answer.duration()));
  writer.EndObject();
  return json;
}

template <typename Request>
absl::Status ReadPayload(const Options& options, Context& context, Request& request) {
  ASSIGN_OR_RETURN(const std::string data, ReadData(options.data, context.io.in));
  if (!data.empty()) {
    request.mutable_payload()->set_data(data);
    request.mutable_payload()->set_content_type(
        options.content_type.empty() ? GuessContentType(data) : options.content_type);
  }
  return absl::OkStatus();
}

// "function:{id}" or "type:{event type}".
absl::Status ReadDestination(const char* flag, const std::string& text,
                             pb::AsyncDestination* destination) {
  constexpr std::string_view kFunction = "function:";
  constexpr std::string_view kType = "type:";
  if (text.starts_with(kFunction)) {
    destination->set_function(text.substr(kFunction.size()));
  } else if (text.starts_with(kType)) {
    destination->set_event_type(text.substr(kType.size()));
  } else {
    return UsageError(fmt::format("{}: expected function:NAME or type:EVENT_TYPE", flag));
  }
  return absl::OkStatus();
}

absl::Status InvokeAsync(const Options& options, Context& context) {
  pb::InvokeAsyncRequest request;
  request.set_name(context.NameOf("functions", options.id));
  request.set_sticky_key(options.sticky_key);
  request.set_idempotency_key(options.idempotency_key);
  request.set_callback_url(options.callback);
  if (!options.on_success.empty()) {
    RETURN_IF_ERROR(
        ReadDestination("--on-success", options.on_success, request.mutable_on_success()));
  }
  if (!options.on_failure.empty()) {
    RETURN_IF_ERROR(
        ReadDestination("--on-failure", options.on_failure, request.mutable_on_failure()));
  }
  RETURN_IF_ERROR(ReadPayload(options, context, request));
  ASSIGN_OR_RETURN(const auto answer,
                   context.client().Call<pb::InvokeAsyncResponse>(kInvokeAsync, request));
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) return context.Print(answer, format);
  context.io.out << IdOf(answer.execution()) << "\n";
  if (answer.duplicate())
    context.io.err << "note: the key was used before: nothing new was queued\n";
  context.io.err << fmt::format("hint: `penstock executions get {}` shows what became of it\n",
                                IdOf(answer.execution()));
  return absl::OkStatus();
}

// One line of standard output for each line of the input, in order; what failed is an empty one,
// and said with its number on standard error.
absl::Status PrintBatch(const pb::BatchInvokeResponse& answer, int lines_before,
                        const Options& options, Context& context) {
  const Format format = context.FormatOr(Format::kTable);
  int line = lines_before;
  for (const pb::BatchInvokeResult& result : answer.results()) {
    ++line;
    const bool has_failed = result.has_status() || result.response().has_error();
    if (has_failed) context.exit_code = kExitFunctionFailed;
    if (format != Format::kTable) {
      RETURN_IF_ERROR(context.Print(result, format));
      continue;
    }
    if (options.has_logs) PrintLogs(result.response().logs(), context.io.err);
    if (!has_failed) {
      context.io.out << result.response().payload().data() << "\n";
      continue;
    }
    context.io.out << "\n";
    context.io.err << fmt::format("line {}: ", line);
    if (result.has_status()) {
      context.io.err << fmt::format("error: {}\n", Printable(result.status().message()));
    } else {
      PrintError(result.response().error(), result.response().execution(), context.io.err);
    }
  }
  return absl::OkStatus();
}

// As many calls at a time as the executor takes.
absl::Status InvokeBatch(const Options& options, Context& context) {
  constexpr int kCallsMax = 100;
  constexpr std::size_t kBytesMax = 4U << 20;
  if (!options.data.empty())
    return UsageError("--batch has the data of all calls: leave out --data");
  ASSIGN_OR_RETURN(const std::string data, ReadInput(options.batch, context.io.in));
  pb::BatchInvokeRequest request;
  std::size_t bytes = 0;
  int lines = 0;
  const auto send = [&]() -> absl::Status {
    if (request.requests_size() == 0) return absl::OkStatus();
    request.set_parent(context.Parent());
    ASSIGN_OR_RETURN(const auto answer, context.client().Call<pb::BatchInvokeResponse>(
                                            kBatchInvoke, request, kWaitMax));
    RETURN_IF_ERROR(PrintBatch(answer, lines, options, context));
    lines += request.requests_size();
    request.clear_requests();
    bytes = 0;
    return absl::OkStatus();
  };
  for (std::size_t begin = 0; begin < data.size();) {
    const std::size_t end = std::min(data.find('\n', begin), data.size());
    const std::string line = data.substr(begin, end - begin);
    begin = end + 1;
    if (request.requests_size() == kCallsMax || bytes + line.size() > kBytesMax) {
      RETURN_IF_ERROR(send());
    }
    pb::InvokeRequest* const call = request.add_requests();
    call->set_name(context.NameOf("functions", options.id));
    call->set_sticky_key(options.sticky_key);
    if (context.timeout) *call->mutable_timeout() = ToProtoDuration(*context.timeout);
    call->mutable_payload()->set_data(line);
    call->mutable_payload()->set_content_type(options.content_type.empty() ? GuessContentType(line)
                                                                           : options.content_type);
    bytes += line.size();
  }
  if (lines == 0 && request.requests_size() == 0) {
    return UsageError(
        fmt::format("--batch: {} is empty: expected one call's data a line", options.batch));
  }
  return send();
}

absl::Status Invoke(const Options& options, Context& context) {
  if (!options.batch.empty()) {
    if (options.is_async) return UsageError("--batch waits for all answers: leave out --async");
    if (!options.idempotency_key.empty()) {
      return UsageError("--batch makes many calls: leave out --idempotency-key");
    }
    return InvokeBatch(options, context);
  }
  if (options.is_async) return InvokeAsync(options, context);
  if (!options.on_success.empty() || !options.on_failure.empty() || !options.callback.empty()) {
    return UsageError("--on-success, --on-failure and --callback need --async");
  }
  pb::InvokeRequest request;
  request.set_name(context.NameOf("functions", options.id));
  request.set_sticky_key(options.sticky_key);
  request.set_idempotency_key(options.idempotency_key);
  RETURN_IF_ERROR(ReadPayload(options, context, request));
  std::chrono::milliseconds wait = kWaitMax;
  if (context.timeout) {
    *request.mutable_timeout() = ToProtoDuration(*context.timeout);
    wait = *context.timeout + kMargin;
  }
  ASSIGN_OR_RETURN(const auto answer,
                   context.client().Call<pb::InvokeResponse>(kInvoke, request, wait));
  if (answer.has_error()) context.exit_code = kExitFunctionFailed;
  const Format format = context.FormatOr(Format::kTable);
  if (format != Format::kTable) {
    ASSIGN_OR_RETURN(const std::string json, AnswerJson(answer));
    return context.PrintJson(json, format);
  }
  if (options.has_logs) PrintLogs(answer.logs(), context.io.err);
  if (context.options.is_verbose) {
    context.io.err << fmt::format("execution: {} ({}, version {})\n", answer.execution(),
                                  ShortDuration(answer.duration()), answer.function_version());
  }
  context.io.err.flush();
  PrintPayload(answer.payload(), context.io.out);
  if (answer.has_error()) PrintError(answer.error(), answer.execution(), context.io.err);
  return absl::OkStatus();
}

}  // namespace

void AddInvokeCommand(Cli& cli, CLI::App* function) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command =
      Cli::Add(function, "invoke",
               "Calls a function: its answer on standard output, its logs on standard error",
               "  penstock function invoke hello --data '{\"a\": 1}'\n"
               "  penstock function invoke hello --data @request.json --no-logs\n"
               "  echo hi | penstock function invoke hello --data - --content-type text/plain\n"
               "  penstock function invoke report --async --on-failure type:report.failed\n"
               "  penstock function invoke hello --batch requests.jsonl\n"
               "Exit code 4 means that the function failed.");
  command->add_option("name", options->id, "the function's id; id@3 or id@prod for a version")
      ->required();
  command->add_option("--sticky-key", options->sticky_key,
                      "calls with the same key run the same version");
  command->add_option(
      "--idempotency-key", options->idempotency_key,
      "calls with the same key run once: those with --async, and those of a function "
      "with that middleware");
  command->add_option("-d,--data", options->data,
                      "the payload; @FILE reads a file, - standard input");
  command->add_option(
      "--batch", options->batch,
      "file with one call's payload a line, - for standard input: a line of output each");
  command->add_option("--content-type", options->content_type,
                      "of the payload (default: what it looks like)");
  command->add_flag("--async", options->is_async,
                    "do not wait: print the execution's id once the call is durable");
  command->add_option("--on-success", options->on_success,
                      "with --async: where the answer goes, function:NAME or type:EVENT_TYPE");
  command->add_option("--on-failure", options->on_failure,
                      "with --async: where a call goes that failed for good, likewise");
  command->add_option("--callback", options->callback, "with --async: a URL for the result");
  command->add_flag("!--no-logs", options->has_logs, "leave out what the function wrote");
  cli.SetAction(command, [options](Context& context) { return Invoke(*options, context); });
}

}  // namespace penstock::cli
