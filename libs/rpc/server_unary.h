// Unary server handlers on the callback API.
//
//   grpc::ServerUnaryReactor* GetTrigger(grpc::CallbackServerContext* context, const
//   pb::GetTriggerRequest* request,
//                                        pb::Trigger* response) override {
//     return rpc::ServeUnary(context, request, response,
//         [this](const auto& request, auto* response, rpc::CallContext& context, rpc::ServerDone
//         done) {
//           catalog_.Get(request.name(), [response, done](absl::StatusOr<Trigger> trigger) { …;
//           done(status); });
//         });
//   }
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/status.h"

namespace penstock::rpc {

// The state of a call that its reactor and its handler share. Internal to ServeUnary.
class UnaryWork {
 public:
  virtual ~UnaryWork() = default;
  virtual void Finish(const absl::Status& status) = 0;
};

// Ends the call; copies end the same one. The first call counts, later ones do nothing.
// Thread-safe. The handler's request, response and context stay valid while a copy lives, even when
// the caller is long gone. When the last copy dies without having been called, the answer is
// INTERNAL.
class ServerDone {
 public:
  explicit ServerDone(std::shared_ptr<UnaryWork> work) : work_(std::move(work)) {}
  void operator()(const absl::Status& status) const { work_->Finish(status); }

 private:
  std::shared_ptr<UnaryWork> work_;
};

// The part that lives as long as the reactor does: decides who finishes, once.
template <typename Request, typename Response>
class UnaryCore {
 public:
  UnaryCore(grpc::CallbackServerContext* context, Response* response)
      : context_(context), response_(response) {}

  void Bind(grpc::ServerUnaryReactor* reactor) { reactor_ = reactor; }

  // `filled` (may be null) is what the handler wrote. Only the first call has an effect: it is the
  // only one that may touch the reactor, which gRPC deletes at any time afterwards; no lock is held
  // then.
  void Finish(const absl::Status& status, Response* filled, CallContext* call) {
    {
      const std::lock_guard lock(mutex_);
      if (finished_) return;
      finished_ = true;
    }
    if (status.ok() && filled != nullptr) response_->Swap(filled);
    if (call != nullptr) call->ApplyTrailing(*context_);
    reactor_->Finish(ToGrpcStatus(status));
  }

 private:
  std::mutex mutex_;
  bool finished_ = false;
  grpc::CallbackServerContext* const context_;
  Response* const response_;
  grpc::ServerUnaryReactor* reactor_ = nullptr;
};

// The part that lives as long as the handler needs it.
template <typename Request, typename Response>
class TypedUnaryWork final : public UnaryWork {
 public:
  TypedUnaryWork(std::shared_ptr<UnaryCore<Request, Response>> core,
                 const grpc::CallbackServerContext& context)
      : context(context), core_(std::move(core)) {}

  ~TypedUnaryWork() override {
    core_->Finish(absl::InternalError("the handler gave no answer"), nullptr, nullptr);
  }

  void Finish(const absl::Status& status) override { core_->Finish(status, &response, &context); }

  Request request;
  Response response;
  CallContext context;

 private:
  const std::shared_ptr<UnaryCore<Request, Response>> core_;
};

template <typename Request, typename Response>
class UnaryServerReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryServerReactor(std::shared_ptr<UnaryCore<Request, Response>> core,
                     std::shared_ptr<Cancellation> cancellation)
      : core_(std::move(core)), cancellation_(std::move(cancellation)) {
    core_->Bind(this);
  }

  void OnCancel() override {
    Contain("cancelled unary handler", [&] { cancellation_->Cancel(); });
    core_->Finish(absl::CancelledError("the caller is gone"), nullptr, nullptr);
  }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<UnaryCore<Request, Response>> core_;
  const std::shared_ptr<Cancellation> cancellation_;
};

// Runs `handler(const Request&, Response*, CallContext&, ServerDone)` at once, under the callback
// guard; it may finish later, from any thread. An exception becomes INTERNAL and a log line. When
// the caller vanishes the call is finished for it and CallContext::cancellation is set. Return the
// result to gRPC.
template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* ServeUnary(grpc::CallbackServerContext* context, const Request* request,
                                     Response* response, const Handler& handler) {
  auto core = std::make_shared<UnaryCore<Request, Response>>(context, response);
  auto work = std::make_shared<TypedUnaryWork<Request, Response>>(core, *context);
  auto* reactor = new UnaryServerReactor<Request, Response>(core, work->context.cancellation());
  // gRPC owns the request, not const, until the call is finished, and reads it no more. Swapping
  // instead of copying lets a handler keep up to 8 MiB past a cancellation for free.
  work->request.Swap(const_cast<Request*>(request));
  const bool contained = Contain("unary handler", [&] {
    handler(std::as_const(work->request), &work->response, work->context, ServerDone(work));
  });
  if (!contained) work->Finish(absl::InternalError("internal error"));
  return reactor;
}

}  // namespace penstock::rpc
