#include "services/function-executor/api/convert.h"

#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/cloudevents/event.h"
#include "libs/protojson/protojson.h"
#include "libs/rpc/metadata.h"
#include "services/function-executor/domain/classify.h"

namespace penstock::executor {
namespace {

namespace pb = executions::v1;

constexpr int kStackLinesMax = 64;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kDurationSecondsMax = 86'400;

google::protobuf::Timestamp ToTimestamp(WallTime time) {
  google::protobuf::Timestamp timestamp;
  const std::int64_t micros = ToUnixMicros(time);
  const std::int64_t rest = ((micros % kMicrosPerSecond) + kMicrosPerSecond) % kMicrosPerSecond;
  timestamp.set_seconds((micros - rest) / kMicrosPerSecond);
  timestamp.set_nanos(static_cast<std::int32_t>(rest * 1'000));
  return timestamp;
}

absl::StatusOr<WallTime> FromTimestamp(std::string_view field,
                                       const google::protobuf::Timestamp& timestamp) {
  // The years 1 to 9999, as the type itself has it.
  if (timestamp.seconds() < -62'135'596'800 || timestamp.seconds() > 253'402'300'799 ||
      timestamp.nanos() < 0 || timestamp.nanos() > 999'999'999) {
    return FieldError(field, "is out of range; expected a time in the years 1 to 9999");
  }
  return FromUnixMicros(timestamp.seconds() * kMicrosPerSecond + timestamp.nanos() / 1'000);
}

bool IsText(std::string_view content_type) {
  constexpr std::string_view kText = "text/";
  return content_type.size() >= kText.size() &&
         std::equal(kText.begin(), kText.end(), content_type.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

// Text that was cut may end inside a character: without the rest of it.
std::string_view WholeCharacters(std::string_view text) {
  for (std::size_t cut = 0; cut < 4 && cut < text.size(); ++cut) {
    const std::string_view shorter = text.substr(0, text.size() - cut);
    if (IsValidUtf8(shorter)) return shorter;
  }
  return {};
}

pb::RecordedBody ToProto(const RecordedBody& body) {
  pb::RecordedBody proto;
  if (IsValidUtf8(body.content_type)) proto.set_content_type(body.content_type);
  proto.set_size_bytes(body.size);
  proto.set_truncated(body.truncated);
  if (!body.truncated && cloudevents::IsJsonContentType(body.content_type) &&
      protojson::ParseJson(body.bytes, proto.mutable_json()).ok()) {
    return proto;
  }
  if (IsText(body.content_type)) {
    std::string_view text = body.bytes;
    if (body.truncated) text = WholeCharacters(text);
    if (IsValidUtf8(text) && (!text.empty() || body.bytes.empty())) {
      proto.set_text(std::string(text));
      return proto;
    }
  }
  proto.set_binary(body.bytes);
  return proto;
}

pb::Execution::State ToProto(ExecutionState state) {
  switch (state) {
    case ExecutionState::kSucceeded: return pb::Execution::SUCCEEDED;
    case ExecutionState::kFailed: return pb::Execution::FAILED;
    case ExecutionState::kRunning: break;
  }
  return pb::Execution::RUNNING;
}

pb::Execution::Trigger ToProto(TriggerKind trigger) {
  switch (trigger) {
    case TriggerKind::kEvent: return pb::Execution::EVENT;
    case TriggerKind::kHttp: return pb::Execution::HTTP;
    case TriggerKind::kCall: break;
  }
  return pb::Execution::CALL;
}

// The second field of a W3C trace context: 32 hexadecimal digits behind the version.
std::string TraceIdOf(const std::string& traceparent) {
  constexpr std::size_t kBegin = 3;
  constexpr std::size_t kDigits = 32;
  if (traceparent.size() <= kBegin + kDigits || traceparent[kBegin + kDigits] != '-') return "";
  return traceparent.substr(kBegin, kDigits);
}

// Sets the enum members of a query. The error names the field.
absl::Status ReadKinds(const pb::ListExecutionsRequest& request, ExecutionQuery* query) {
  switch (request.state()) {
    case pb::Execution::STATE_UNSPECIFIED: break;
    case pb::Execution::RUNNING: query->state = ExecutionState::kRunning; break;
    case pb::Execution::SUCCEEDED: query->state = ExecutionState::kSucceeded; break;
    case pb::Execution::FAILED: query->state = ExecutionState::kFailed; break;
    case pb::Execution::QUEUED:
      return FieldError(
          "state", "QUEUED is not in the records: see the subscription penstock.async.{function}");
    default: return FieldError("state", "is unknown; expected RUNNING, SUCCEEDED or FAILED");
  }
  switch (request.trigger()) {
    case pb::Execution::TRIGGER_UNSPECIFIED: break;
    case pb::Execution::CALL: query->trigger = TriggerKind::kCall; break;
    case pb::Execution::EVENT: query->trigger = TriggerKind::kEvent; break;
    case pb::Execution::HTTP: query->trigger = TriggerKind::kHttp; break;
    default: return FieldError("trigger", "is unknown; expected CALL, EVENT or HTTP");
  }
  return absl::OkStatus();
}

}  // namespace

google::protobuf::Duration ToProto(Microseconds duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(duration.count() / kMicrosPerSecond);
  proto.set_nanos(static_cast<std::int32_t>(duration.count() % kMicrosPerSecond * 1'000));
  return proto;
}

absl::StatusOr<Microseconds> FromProto(std::string_view field,
                                       const google::protobuf::Duration& duration) {
  if (duration.seconds() < 0 || duration.nanos() < 0 || duration.nanos() > 999'999'999 ||
      (duration.seconds() == 0 && duration.nanos() < 1'000)) {
    return FieldError(field, "must be above zero; expected a duration such as \"1.5s\"");
  }
  return Microseconds(std::min(duration.seconds(), kDurationSecondsMax) * kMicrosPerSecond +
                      duration.nanos() / 1'000);
}

pb::FunctionError ToProto(const FunctionError& error) {
  pb::FunctionError proto;
  proto.set_category(std::string(CategoryName(error.category)));
  proto.set_type(ToUtf8(error.type));
  proto.set_message(ToUtf8(error.message));
  for (const std::string& line : error.stacktrace) {
    if (proto.stacktrace_size() == kStackLinesMax) break;
    proto.add_stacktrace(ToUtf8(line));
  }
  return proto;
}

pb::Logs ToProto(const Logs& logs) {
  pb::Logs proto;
  for (const std::string& line : logs.out) proto.add_stdout(ToUtf8(line));
  for (const std::string& line : logs.err) proto.add_stderr(ToUtf8(line));
  proto.set_truncated(logs.truncated);
  return proto;
}

pb::Execution ToProto(const ExecutionRecord& record) {
  pb::Execution proto;
  const auto name = [&](std::string_view collection, const std::string& id) {
    return ResourceName{record.space, std::string(collection), id}.ToString();
  };
  proto.set_name(name("executions", record.id));
  proto.set_function(name("functions", record.function));
  proto.set_function_version(record.function_version);
  proto.set_trigger(ToProto(record.trigger));
  proto.set_state(ToProto(record.state));
  *proto.mutable_start_time() = ToTimestamp(record.start);
  *proto.mutable_duration() = ToProto(record.duration);
  proto.set_attempt(record.attempt);
  proto.set_delivery_id(record.delivery_id);
  for (const std::string& id : record.delivery_ids) proto.add_delivery_ids(id);
  if (!record.subscription.empty()) {
    proto.set_subscription(name("subscriptions", record.subscription));
  }
  proto.set_event_id(record.event_id);
  proto.set_event_type(record.event_type);
  proto.set_event_source(record.event_source);
  proto.set_caller(record.caller);
  if (record.input) *proto.mutable_input() = ToProto(*record.input);
  if (record.output) *proto.mutable_output() = ToProto(*record.output);
  if (record.error) *proto.mutable_error() = ToProto(*record.error);
  if (!record.logs.out.empty() || !record.logs.err.empty() || record.logs.truncated) {
    *proto.mutable_logs() = ToProto(record.logs);
  }
  proto.set_instance(record.instance);
  proto.set_traceparent(record.traceparent);
  for (const StepRecord& step : record.steps) {
    pb::ExecutionStep* const added = proto.add_steps();
    added->set_name(step.name);
    added->set_phase(step.phase == StepPhase::kBefore ? pb::ExecutionStep::BEFORE
                                                      : pb::ExecutionStep::AFTER);
    *added->mutable_duration() = ToProto(step.duration);
    added->set_effect(ToUtf8(step.effect));
    added->set_space(step.is_of_space);
  }
  proto.set_trace_id(TraceIdOf(record.traceparent));
  if (record.state != ExecutionState::kRunning) {
    *proto.mutable_middleware_duration() = ToProto(record.middleware);
    *proto.mutable_driver_duration() = ToProto(record.driver);
  }
  *proto.mutable_queue_duration() = ToProto(record.queue);
  return proto;
}

HttpRequestContext FromProto(const pb::HttpRequest& request) {
  HttpRequestContext context;
  context.method = request.method();
  context.path = request.path();
  context.host = request.host();
  for (const auto& pair : request.query()) context.query.emplace_back(pair.name(), pair.value());
  for (const auto& pair : request.headers()) {
    context.headers.emplace_back(pair.name(), pair.value());
  }
  context.params.insert(request.params().begin(), request.params().end());
  return context;
}

absl::StatusOr<ExecutionQuery> FromProto(const pb::ListExecutionsRequest& request) {
  ExecutionQuery query;
  ASSIGN_OR_RETURN(query.space, ParseSpaceParent("parent", request.parent()));
  if (request.page_size() < 0) {
    return FieldError("page_size", "must not be negative; expected 0 (50) to 1000");
  }
  const int size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  query.limit = static_cast<std::size_t>(std::min(size, kPageSizeMax));
  if (!request.function().empty()) {
    ASSIGN_OR_RETURN(query.function,
                     ParseReference("function", "functions", query.space, request.function()));
  }
  if (!request.subscription().empty()) {
    ASSIGN_OR_RETURN(query.subscription, ParseReference("subscription", "subscriptions",
                                                        query.space, request.subscription()));
  }
  RETURN_IF_ERROR(ReadKinds(request, &query));
  query.event_id = request.event_id();
  query.delivery_id = request.delivery_id();
  if (request.has_start_time_from()) {
    ASSIGN_OR_RETURN(query.start_from, FromTimestamp("start_time_from", request.start_time_from()));
  }
  if (request.has_start_time_to()) {
    ASSIGN_OR_RETURN(query.start_to, FromTimestamp("start_time_to", request.start_time_to()));
  }
  return query;
}

absl::StatusOr<std::int64_t> MinFunctionRevision(const rpc::CallContext& call) {
  constexpr std::string_view kService = "function-manager:";
  std::int64_t revision = 0;
  for (const std::string& value : call.MetadataAll(rpc::kMinRevisionKey)) {
    if (!value.starts_with(kService)) continue;
    const char* const begin = value.data() + kService.size();
    const char* const end = value.data() + value.size();
    std::int64_t given = 0;
    const auto [stop, error] = std::from_chars(begin, end, given);
    if (error != std::errc() || stop != end || given < 0) {
      return FieldError(rpc::kMinRevisionKey,
                        fmt::format("\"{}\" is no revision; expected \"function-manager:<number>\"",
                                    ToUtf8(value.substr(0, 80))));
    }
    revision = std::max(revision, given);
  }
  return revision;
}

std::optional<Microseconds> TimeUntilDeadline(const rpc::CallContext& call, const Clock& clock) {
  if (call.deadline() == std::chrono::system_clock::time_point::max()) return std::nullopt;
  return std::chrono::floor<Microseconds>(call.deadline() - clock.Wall());
}

std::string NewTraceparent() { return fmt::format("00-{}-{}-01", RandomHex(16), RandomHex(8)); }

}  // namespace penstock::executor
