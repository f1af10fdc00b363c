#include "services/function-executor/api/function_executor_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/rpc/server_unary.h"
#include "libs/rpc/status.h"
#include "libs/rpc/unary_server_wire.h"
#include "services/function-executor/api/convert.h"
#include "services/function-executor/api/idempotency_key.h"
#include "services/function-executor/domain/classify.h"

namespace penstock::executor {
namespace {

namespace pb = executions::v1;

constexpr std::size_t kPayloadBytesMax = 1U << 20;
constexpr int kBatchCallsMax = 100;
constexpr std::size_t kBatchPayloadBytesMax = 4U << 20;
// All answers of a batch are in memory, and in one message.
constexpr std::size_t kBatchAnswerBytesMax = 6U << 20;
constexpr std::size_t kTailsMax = 256;
constexpr char kStickyKeyHeader[] = "penstock-sticky-key";
constexpr std::size_t kStickyKeyBytesMax = 256;
constexpr char kIdempotencyKeyHeader[] = "idempotency-key";

// Ends `target` when the caller is gone. The run may end first, in any thread.
void CancelWith(rpc::CallContext& call, const std::shared_ptr<Invoker::Call>& target) {
  call.cancellation()->Subscribe([weak = std::weak_ptr<Invoker::Call>(target)] {
    if (const auto alive = weak.lock()) alive->Cancel();
  });
}

// The key that keeps calls at one version: a field of the request, or a header of an HTTP event.
absl::StatusOr<std::string> StickyKeyOf(const pb::InvokeRequest& request) {
  std::string key = request.sticky_key();
  for (const pb::NameValue& header : request.http().headers()) {
    if (key.empty() && header.name() == kStickyKeyHeader) key = header.value();
  }
  if (key.size() > kStickyKeyBytesMax) {
    return FieldError("sticky_key", fmt::format("has {} bytes; expected at most {}", key.size(),
                                                kStickyKeyBytesMax));
  }
  return key;
}

absl::StatusOr<std::string> IdempotencyKeyOf(const pb::InvokeRequest& request) {
  std::string key = request.idempotency_key();
  for (const pb::NameValue& header : request.http().headers()) {
    if (key.empty() && header.name() == kIdempotencyKeyHeader) key = header.value();
  }
  return ReadIdempotencyKey(key);
}

// What a middleware refused before any driver had the call: the function was not reached.
absl::Status RefusalOf(const Outcome& outcome) {
  const FunctionError& error = *outcome.error;
  absl::Status status = WithReason(absl::Status(outcome.refusal, error.message), error.type,
                                   {{"category", std::string(CategoryName(error.category))}});
  if (!outcome.retry_after) return status;
  return WithRetryAfter(std::move(status), absl::Microseconds(outcome.retry_after->count()));
}

absl::Status Fill(InvokeResult result, const std::string& space, pb::InvokeResponse* response) {
  if (!result.refusal.ok()) return result.refusal;
  if (IsBusy(result.outcome)) {
    const Microseconds wait = result.outcome.retry_after.value_or(Microseconds(1'000'000));
    return WithRetryAfter(absl::ResourceExhaustedError(result.outcome.error->message),
                          absl::Microseconds(wait.count()));
  }
  if (result.outcome.error && result.outcome.refusal != absl::StatusCode::kOk) {
    return RefusalOf(result.outcome);
  }
  response->set_execution(ResourceName{space, "executions", result.execution_id}.ToString());
  response->mutable_payload()->set_content_type(result.outcome.content_type);
  response->mutable_payload()->set_data(*result.outcome.payload);
  if (result.outcome.error) *response->mutable_error() = ToProto(*result.outcome.error);
  *response->mutable_logs() = ToProto(result.outcome.logs);
  *response->mutable_duration() = ToProto(result.duration);
  response->set_function_version(result.function_version);
  return absl::OkStatus();
}

// The calls of a batch that still run, and what their answers take.
struct BatchState {
  BatchState(std::size_t calls, rpc::ServerDone batch_done)
      : running(calls), done(std::move(batch_done)) {}

  std::atomic<std::size_t> running;
  std::atomic<std::size_t> answer_bytes{0};
  const rpc::ServerDone done;
};

void FillInBatch(InvokeResult result, const std::string& space, BatchState& batch,
                 pb::BatchInvokeResult* into) {
  const std::string id = result.execution_id;
  pb::InvokeResponse* const response = into->mutable_response();
  absl::Status status = Fill(std::move(result), space, response);
  const std::size_t bytes = status.ok() ? response->ByteSizeLong() : 0;
  if (batch.answer_bytes.fetch_add(bytes) + bytes > kBatchAnswerBytesMax && bytes > 0) {
    status = absl::ResourceExhaustedError(
        fmt::format("the function ran (execution {}), but the answers of this batch have more than "
                    "{} bytes: call it by itself",
                    id, kBatchAnswerBytesMax));
  }
  if (!status.ok()) *into->mutable_status() = rpc::ToProtoStatus(status);
}

}  // namespace

absl::StatusOr<std::vector<InvokeOrder>> FunctionExecutorApi::MakeOrders(
    const pb::BatchInvokeRequest& request, const rpc::CallContext& call) const {
  ASSIGN_OR_RETURN(const std::string space, ParseSpaceParent("parent", request.parent()));
  if (request.requests_size() < 1 || request.requests_size() > kBatchCallsMax) {
    return FieldError("requests", fmt::format("has {} calls; expected 1 to {}",
                                              request.requests_size(), kBatchCallsMax));
  }
  std::vector<InvokeOrder> orders;
  std::size_t bytes = 0;
  for (int i = 0; i < request.requests_size(); ++i) {
    const std::string field = fmt::format("requests[{}]", i);
    auto order = MakeOrder(request.requests(i), call);
    if (!order.ok()) return UnderField(field, order.status());
    if (order->space != space) {
      return FieldError(field + ".name", fmt::format("is in the space {}; expected functions of {}",
                                                     order->space, request.parent()));
    }
    bytes += order->payload->size();
    orders.push_back(*std::move(order));
  }
  if (bytes > kBatchPayloadBytesMax) {
    return FieldError("requests", fmt::format("have {} bytes of payload; expected at most {}",
                                              bytes, kBatchPayloadBytesMax));
  }
  return orders;
}

absl::StatusOr<InvokeOrder> FunctionExecutorApi::MakeOrder(const pb::InvokeRequest& request,
                                                           const rpc::CallContext& call) const {
  ASSIGN_OR_RETURN(TaggedName name, ParseTaggedName("name", "functions", request.name()));
  if (request.payload().data().size() > kPayloadBytesMax) {
    return FieldError("payload", fmt::format("has {} bytes; expected at most {}",
                                             request.payload().data().size(), kPayloadBytesMax));
  }
  InvokeOrder order;
  order.space = std::move(name.name.space);
  order.function = std::move(name.name.id);
  order.tag = std::move(name.tag);
  ASSIGN_OR_RETURN(order.sticky_key, StickyKeyOf(request));
  ASSIGN_OR_RETURN(order.idempotency_key, IdempotencyKeyOf(request));
  order.payload = std::make_shared<const std::string>(request.payload().data());
  order.content_type = request.payload().content_type();
  if (request.has_http()) {
    order.trigger = TriggerKind::kHttp;
    order.http = FromProto(request.http());
    if (order.http->method.empty()) order.http->method = "POST";
  }
  order.timeout = TimeUntilDeadline(call, clock_);
  if (request.has_timeout()) {
    ASSIGN_OR_RETURN(const Microseconds asked, FromProto("timeout", request.timeout()));
    order.timeout = order.timeout ? std::min(*order.timeout, asked) : asked;
  }
  ASSIGN_OR_RETURN(order.min_revision, MinFunctionRevision(call));
  if (peer_auth_->Check(call).ok()) order.caller = std::string(call.principal());
  order.traceparent = request.traceparent();
  if (order.traceparent.empty()) order.traceparent = std::string(call.traceparent());
  if (order.traceparent.empty()) order.traceparent = NewTraceparent();
  return order;
}

grpc::ServerUnaryReactor* FunctionExecutorApi::Invoke(grpc::CallbackServerContext* context,
                                                      const pb::InvokeRequest* request,
                                                      pb::InvokeResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const auto& given, auto* answer, rpc::CallContext& call,
                                const rpc::ServerDone& done) { Run(given, answer, call, done); });
}

void FunctionExecutorApi::AddDirect(rpc::DirectMethods& direct) {
  direct.AddUnary<pb::InvokeRequest, pb::InvokeResponse>(
      "/penstock.executions.v1.FunctionExecutorService/Invoke",
      [this](const auto& given, auto* answer, rpc::CallContext& call, const rpc::ServerDone& done) {
        Run(given, answer, call, done);
      });
}

void FunctionExecutorApi::Run(const pb::InvokeRequest& request, pb::InvokeResponse* response,
                              rpc::CallContext& call, const rpc::ServerDone& done) {
  auto order = MakeOrder(request, call);
  if (!order.ok()) return done(order.status());
  const std::string space = order->space;
  CancelWith(call, invoker_.Invoke(*std::move(order), [response, done, space](InvokeResult result) {
    done(Fill(std::move(result), space, response));
  }));
}

grpc::ServerUnaryReactor* FunctionExecutorApi::BatchInvoke(grpc::CallbackServerContext* context,
                                                           const pb::BatchInvokeRequest* request,
                                                           pb::BatchInvokeResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const auto& given, auto* answer, rpc::CallContext& call, const rpc::ServerDone& done) {
        RunBatch(given, answer, call, done);
      });
}

void FunctionExecutorApi::RunBatch(const pb::BatchInvokeRequest& request,
                                   pb::BatchInvokeResponse* response, rpc::CallContext& call,
                                   const rpc::ServerDone& done) {
  auto orders = MakeOrders(request, call);
  if (!orders.ok()) return done(orders.status());
  const auto batch = std::make_shared<BatchState>(orders->size(), done);
  for (std::size_t i = 0; i < orders->size(); ++i) response->add_results();
  for (std::size_t i = 0; i < orders->size(); ++i) {
    InvokeOrder& order = (*orders)[i];
    pb::BatchInvokeResult* const into = response->mutable_results(static_cast<int>(i));
    const std::string space = order.space;
    CancelWith(call, invoker_.Invoke(std::move(order), [batch, space, into](InvokeResult result) {
      FillInBatch(std::move(result), space, *batch, into);
      if (batch->running.fetch_sub(1) == 1) batch->done(absl::OkStatus());
    }));
  }
}

grpc::ServerUnaryReactor* FunctionExecutorApi::InvokeAsync(grpc::CallbackServerContext* context,
                                                           const pb::InvokeAsyncRequest* request,
                                                           pb::InvokeAsyncResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::InvokeAsyncRequest& given, pb::InvokeAsyncResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        async_.Invoke(given, call, [answer, done](absl::StatusOr<pb::InvokeAsyncResponse> made) {
          if (made.ok()) *answer = *std::move(made);
          done(made.status());
        });
      });
}

grpc::ServerUnaryReactor* FunctionExecutorApi::GetExecution(grpc::CallbackServerContext* context,
                                                            const pb::GetExecutionRequest* request,
                                                            pb::Execution* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::GetExecutionRequest& given, pb::Execution* answer,
                                rpc::CallContext& call, const rpc::ServerDone& done) {
                           const auto take = [answer, done](absl::StatusOr<pb::Execution> found) {
                             if (found.ok()) *answer = *std::move(found);
                             done(found.status());
                           };
                           if (AsyncCalls::IsAsync(given.name())) {
                             return async_.Get(given.name(), call.cancellation(), take);
                           }
                           directory_.Get(given.name(), call.cancellation(), take);
                         });
}

grpc::ServerUnaryReactor* FunctionExecutorApi::ListExecutions(
    grpc::CallbackServerContext* context, const pb::ListExecutionsRequest* request,
    pb::ListExecutionsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListExecutionsRequest& given, pb::ListExecutionsResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        directory_.List(given, call.cancellation(),
                        [answer, done](absl::StatusOr<pb::ListExecutionsResponse> page) {
                          if (page.ok()) *answer = *std::move(page);
                          done(page.status());
                        });
      });
}

absl::Status FunctionExecutorApi::OpenTail(const pb::TailExecutionsRequest& request,
                                           const std::shared_ptr<TailStream>& stream) {
  ASSIGN_OR_RETURN(std::string space, ParseSpaceParent("parent", request.parent()));
  std::string function;
  if (!request.function().empty()) {
    ASSIGN_OR_RETURN(function, ParseReference("function", "functions", space, request.function()));
  }
  pb::ListExecutionsRequest kinds;
  kinds.set_parent(request.parent());
  kinds.set_state(request.state());
  kinds.set_trigger(request.trigger());
  ASSIGN_OR_RETURN(const ExecutionQuery wanted, FromProto(kinds));
  if (wanted.state == ExecutionState::kRunning) {
    return FieldError("state", "expected SUCCEEDED or FAILED: records come when runs end");
  }
  {
    const std::lock_guard lock(mutex_);
    if (tails_closed_) return absl::UnavailableError("the executor is stopping");
    if (tails_.size() >= kTailsMax) {
      return absl::ResourceExhaustedError(fmt::format("{} tails are open already", kTailsMax));
    }
    tails_.insert(stream);
  }
  auto following = journal_.Follow(
      std::move(space), std::move(function),
      [weak = std::weak_ptr(stream), wanted](const std::shared_ptr<const ExecutionRecord>& record) {
        if (!Matches(*record, wanted)) return;
        const auto tail = weak.lock();
        if (tail && !tail->Write(ToProto(*record))) {
          tail->Finish(absl::ResourceExhaustedError("records come faster than they are read here"));
        }
      });
  stream->set_on_done([this, weak = std::weak_ptr(stream), following](const absl::Status&) {
    std::shared_ptr<TailStream> ended = weak.lock();
    const std::lock_guard lock(mutex_);
    tails_.erase(ended);
  });
  return absl::OkStatus();
}

grpc::ServerWriteReactor<pb::Execution>* FunctionExecutorApi::TailExecutions(
    grpc::CallbackServerContext* context, const pb::TailExecutionsRequest* request) {
  return TailStream::Serve(
      context, request, rpc::ServerStreamLimits{},
      [this](const pb::TailExecutionsRequest& given, const std::shared_ptr<TailStream>& stream) {
        if (const absl::Status status = OpenTail(given, stream); !status.ok()) {
          stream->Finish(status);
        }
      });
}

grpc::ServerUnaryReactor* FunctionExecutorApi::CancelExecution(
    grpc::CallbackServerContext* context, const pb::CancelExecutionRequest* request,
    pb::Execution* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CancelExecutionRequest& given, pb::Execution* answer, rpc::CallContext& call,
             const rpc::ServerDone& done) {
        const auto name = ParseResourceName("name", "executions", given.name());
        if (!name.ok()) return done(name.status());
        if (AsyncCalls::IsAsync(given.name())) {
          return async_.Cancel(given.name(), call.cancellation(),
                               [answer, done](absl::StatusOr<pb::Execution> found) {
                                 if (found.ok()) *answer = *std::move(found);
                                 done(found.status());
                               });
        }
        const bool was_running = invoker_.CancelRunning(name->space, name->id);
        directory_.Get(
            given.name(), call.cancellation(),
            [answer, done, was_running](absl::StatusOr<pb::Execution> found) {
              if (!found.ok()) return done(found.status());
              if (!was_running && found->state() == pb::Execution::RUNNING) {
                return done(absl::FailedPreconditionError(fmt::format(
                    "the execution runs on executor {}: cancel it there", found->instance())));
              }
              if (!was_running) {
                return done(absl::FailedPreconditionError("the execution has ended"));
              }
              *answer = *std::move(found);
              done(absl::OkStatus());
            });
      });
}

void FunctionExecutorApi::CloseTails() {
  std::unordered_set<std::shared_ptr<TailStream>> open;
  {
    const std::lock_guard lock(mutex_);
    tails_closed_ = true;
    open = tails_;
  }
  for (const auto& tail : open) tail->Finish(absl::UnavailableError("the executor is stopping"));
}

}  // namespace penstock::executor
