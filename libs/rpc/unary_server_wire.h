// A server's end of a unary call over a WireServerCall.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/byte_stream.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/server_unary.h"
#include "libs/rpc/wire_server.h"

namespace penstock::rpc {

// Belongs to the call: takes its one message, and decides who finishes it, once.
template <typename Request, typename Response>
class WireUnary final : public WireServerEvents,
                        public std::enable_shared_from_this<WireUnary<Request, Response>> {
 public:
  using Handler = DirectMethods::Unary<Request, Response>;

  // Runs `handler`, which must outlive the call, once the message is there.
  static void Serve(WireOpening opening, const Handler& handler) {
    const std::shared_ptr<WireServerCall> call = opening.call;
    call->Connect(std::shared_ptr<WireUnary>(new WireUnary(std::move(opening), handler)));
    call->Start();
  }

 private:
  // The part that lives as long as the handler needs it.
  class Work final : public UnaryWork {
   public:
    Work(std::shared_ptr<WireUnary> unary, WireOpening opening)
        : context(std::move(opening.metadata), std::move(opening.peer), opening.deadline),
          unary_(std::move(unary)) {}
    ~Work() override { Finish(absl::InternalError("the handler gave no answer")); }

    void Finish(const absl::Status& status) override {
      if (unary_->has_finished_.exchange(true)) return;
      unary_->call_->FinishWith(status.ok() ? std::optional(ToWire(response)) : std::nullopt,
                                status, context.TakeTrailing());
    }

    Request request;
    Response response;
    CallContext context;

   private:
    const std::shared_ptr<WireUnary> unary_;
  };

  WireUnary(WireOpening opening, const Handler& handler)
      : call_(opening.call), handler_(handler), opening_(std::move(opening)) {}

  Taken OnBytes(std::string_view message) override {
    const auto work =
        std::make_shared<Work>(this->shared_from_this(), *std::exchange(opening_, std::nullopt));
    cancellation_ = work->context.cancellation();
    if (!work->request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return Taken::kUnreadable;
    }
    const bool contained = Contain("unary handler", [&] {
      handler_(std::as_const(work->request), &work->response, work->context, ServerDone(work));
    });
    if (!contained) work->Finish(absl::InternalError("internal error"));
    return Taken::kEnough;
  }
  void OnReadsEnded() override { Finish(absl::InternalError("the request has no message")); }
  void OnWritten(bool) override {}
  void OnNotified() override {}
  void OnCancelled() override {
    if (cancellation_) Contain("cancelled unary handler", [&] { cancellation_->Cancel(); });
    Finish(absl::CancelledError("the caller is gone"));
  }
  void OnEnd() override {}

  void Finish(const absl::Status& status) {
    if (!has_finished_.exchange(true)) call_->FinishWith(std::nullopt, status, {});
  }

  const std::shared_ptr<WireServerCall> call_;
  const Handler& handler_;
  std::atomic<bool> has_finished_{false};
  // Of the loop.
  std::optional<WireOpening> opening_;  // Until the message came.
  std::shared_ptr<Cancellation> cancellation_;
};

template <typename In, typename Out>
void DirectMethods::TypedUnary<In, Out>::Serve(WireOpening opening) const {
  WireUnary<In, Out>::Serve(std::move(opening), handler);
}

}  // namespace penstock::rpc
