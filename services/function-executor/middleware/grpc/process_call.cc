#include "services/function-executor/middleware/grpc/process_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/base/utf8.h"
#include "services/function-executor/domain/classify.h"

namespace penstock::executor {
namespace {

namespace pb = executions::v1;

constexpr int kStacktraceMax = 64;
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

pb::Execution::Trigger ToProto(TriggerKind trigger) {
  switch (trigger) {
    case TriggerKind::kEvent: return pb::Execution::EVENT;
    case TriggerKind::kHttp: return pb::Execution::HTTP;
    case TriggerKind::kCall: break;
  }
  return pb::Execution::CALL;
}

void Describe(const EventAttributes& event, io::cloudevents::v1::CloudEvent* proto) {
  proto->set_id(event.id);
  proto->set_source(event.source);
  proto->set_type(event.type);
  proto->set_spec_version(event.spec_version);
  for (const auto& [name, value] : event.others) {
    (*proto->mutable_attributes())[name].set_ce_string(ToUtf8(value));
  }
}

void Describe(const HttpRequestContext& http, pb::HttpRequest* proto) {
  proto->set_method(ToUtf8(http.method));
  proto->set_path(ToUtf8(http.path));
  proto->set_host(ToUtf8(http.host));
  for (const auto& [name, value] : http.query) {
    pb::NameValue* const added = proto->add_query();
    added->set_name(ToUtf8(name));
    added->set_value(ToUtf8(value));
  }
  for (const auto& [name, value] : http.headers) {
    pb::NameValue* const added = proto->add_headers();
    added->set_name(ToUtf8(name));
    added->set_value(ToUtf8(value));
  }
  for (const auto& [name, value] : http.params) {
    (*proto->mutable_params())[ToUtf8(name)] = ToUtf8(value);
  }
}

}  // namespace

runtime::v1::ProcessCallRequest DescribeCall(const Invocation& call, Microseconds time_left) {
  runtime::v1::ProcessCallRequest request;
  const FunctionSpec& function = *call.function;
  request.set_function(fmt::format("spaces/{}/functions/{}", function.space, function.id));
  request.set_function_version(function.version);
  request.set_execution(fmt::format("spaces/{}/executions/{}", function.space, call.execution_id));
  request.set_trigger(ToProto(call.trigger));
  request.set_caller(call.caller);
  if (call.event) Describe(*call.event, request.mutable_event());
  if (call.http) Describe(*call.http, request.mutable_http());
  request.set_delivery_id(call.delivery_id);
  if (call.trigger == TriggerKind::kEvent) request.set_attempt(call.attempt);
  request.set_batch(call.batch != nullptr);
  request.set_traceparent(ToUtf8(call.traceparent));
  const std::int64_t left = std::max<std::int64_t>(0, time_left.count());
  request.mutable_timeout()->set_seconds(left / kMicrosPerSecond);
  request.mutable_timeout()->set_nanos(static_cast<std::int32_t>(left % kMicrosPerSecond) * 1000);
  return request;
}

pb::FunctionError ErrorToProto(const FunctionError& error) {
  pb::FunctionError proto;
  proto.set_category(std::string(CategoryName(error.category)));
  proto.set_type(ToUtf8(error.type));
  proto.set_message(ToUtf8(error.message));
  for (const std::string& line : error.stacktrace) proto.add_stacktrace(ToUtf8(line));
  return proto;
}

FunctionError ErrorFromProto(const pb::FunctionError& proto) {
  FunctionError error;
  if (proto.category() == "InputError") error.category = ErrorCategory::kInput;
  if (proto.category() == "SystemError") error.category = ErrorCategory::kSystem;
  // "Busy" says that nothing was begun.
  error.type = proto.type().empty() || proto.type() == "Busy" ? "Refused" : proto.type();
  error.message = proto.message();
  for (int i = 0; i < std::min(proto.stacktrace_size(), kStacktraceMax); ++i) {
    error.stacktrace.push_back(proto.stacktrace(i));
  }
  return error;
}

}  // namespace penstock::executor
