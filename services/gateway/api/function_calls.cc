#include "services/gateway/api/function_calls.h"

#include <algorithm>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/http/url.h"
#include "libs/rpc/generic_call.h"
#include "services/gateway/api/event_input.h"
#include "services/gateway/api/function_answer.h"
#include "services/gateway/api/header_field.h"
#include "services/gateway/api/http_metadata.h"
#include "services/gateway/api/payload_type.h"

namespace penstock::gateway {
namespace {

namespace pb = executions::v1;

constexpr char kTimeout[] = "Grpc-Timeout";
constexpr char kInvoke[] = "/penstock.executions.v1.FunctionExecutorService/Invoke";

// The header's value or else the query's.
absl::StatusOr<std::string> HeaderOrQuery(const http::Request& request, std::string_view header,
                                          std::string_view parameter) {
  if (const auto given = request.headers.Find(header)) return std::string(*given);
  ASSIGN_OR_RETURN(const auto query, http::ParseQuery(request.query()));
  for (const auto& [name, value] : query) {
    if (name == parameter) return value;
  }
  return std::string();
}

absl::StatusOr<std::string> FunctionName(const http::Request& request) {
  ASSIGN_OR_RETURN(std::string space, HeaderOrQuery(request, "Space", "space"));
  if (space.empty()) space = kDefaultSpace;
  RETURN_IF_ERROR(CheckSpace("Space", space));
  ASSIGN_OR_RETURN(const std::string function, HeaderOrQuery(request, "Function-ID", "functionId"));
  if (function.empty()) {
    return FieldError("Function-ID",
                      "expected the function's id in this header or in the query as functionId");
  }
  ASSIGN_OR_RETURN(const std::string id,
                   ParseTaggedReference("Function-ID", "functions", space, function));
  return ResourceName{space, "functions", id}.ToString();
}

}  // namespace

void FunctionCalls::Call(const std::shared_ptr<HttpCall>& call, pb::InvokeRequest request) const {
  if (!IsValidUtf8(request.payload().content_type())) {
    return call->Fail(FieldError("Content-Type", "expected printable characters"));
  }
  const http::Headers& headers = call->request.headers;
  if (auto bad = FillFromHeader(headers, kStickyKey, request.mutable_sticky_key()); !bad.ok()) {
    return call->Fail(bad);
  }
  if (auto bad = FillFromHeader(headers, kIdempotencyKey, request.mutable_idempotency_key());
      !bad.ok()) {
    return call->Fail(bad);
  }
  auto options = options_.For(*call, SpaceInName(request.name()));
  if (!options.ok()) return call->Fail(options.status());
  options->timeout = timeout_;
  if (const auto given = call->request.headers.Find(kTimeout)) {
    const auto asked = ParseGrpcTimeout(*given);
    if (!asked.ok()) return call->Fail(asked.status());
    options->timeout = std::min(timeout_, *asked);
  }
  const auto sent = std::make_shared<pb::InvokeRequest>(std::move(request));
  const auto answer = std::make_shared<pb::InvokeResponse>();
  const auto respond = [call, answer](const absl::Status& status) {
    if (status.ok()) return call->Respond(AnswerOf(*answer));
    call->Fail(status);
  };
  backends_.Call(Backend::kFunctionExecutor, kInvoke, sent, answer, *options,
                 [call, respond](const absl::Status& status, const rpc::ResponseMetadata&) {
                   call->RunOnLoop([respond, status] { respond(status); });
                 });
}

void FunctionCalls::CallByHeader(const std::shared_ptr<HttpCall>& call) const {
  call->set_surface(Surface::kInvoke);
  auto name = FunctionName(call->request);
  if (!name.ok()) return call->Fail(name.status());
  pb::InvokeRequest request;
  request.set_name(*std::move(name));
  request.mutable_payload()->set_content_type(std::string(PayloadContentType(call->request)));
  request.mutable_payload()->set_data(std::move(call->request.body));
  Call(call, std::move(request));
}

}  // namespace penstock::gateway
