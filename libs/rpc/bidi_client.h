// Client side of a bidirectional stream.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/status.h"
#include "libs/rpc/unary_call.h"
#include "libs/rpc/write_pump.h"

namespace penstock::rpc {

// What the owner of a client stream does. All run under the callback guard and must not block. They
// are destroyed after on_done, so they may keep their owner alive.
template <typename Out, typename In>
struct BidiClientHandlers {
  // Packs what waits to be sent into the empty `message`; false when nothing waits. Runs in a
  // reaction or inside Notify, in the thread that called it; never twice at a time. No lock of the
  // stream is held.
  std::function<bool(Out& message)> fill;
  // A message has come. One at a time; the next read starts when it returns. The message is reused:
  // swap out or copy what is kept.
  std::function<void(In& message)> on_message;
  // The end, exactly once, after every other callback.
  std::function<void(const absl::Status&, const ResponseMetadata&)> on_done;
};

// A running call. It always has a read outstanding, and never waits for a write before reading, so
// that two of them cannot block each other even where a write completes only when the peer reads
// (in-process channels). Bound what the peer may send by credit of the application. The call lives
// until on_done, whether or not the handle is kept; dropping the handle does not end it.
// Thread-safe.
template <typename Out, typename In>
class BidiClient final : public WritePump,
                         public std::enable_shared_from_this<BidiClient<Out, In>> {
 public:
  using Handlers = BidiClientHandlers<Out, In>;

  // `method` is "/package.Service/Method".
  static std::shared_ptr<BidiClient> Start(const std::shared_ptr<grpc::Channel>& channel,
                                           const std::string& method, const CallOptions& options,
                                           Handlers handlers) {
    std::shared_ptr<BidiClient> call(new BidiClient(std::move(handlers)));
    Apply(options, std::nullopt, call->context_);
    call->reactor_ = new Reactor(call);
    auto start = std::make_optional<CallStart>(channel);
    grpc::TemplatedGenericStub<Out, In>(start->channel())
        .PrepareBidiStreamingCall(&call->context_, method, grpc::StubOptions(), call->reactor_);
    start.reset();
    // Writes start outside reactions too; the hold is removed in Close, after which none can.
    call->reactor_->AddHold();
    call->reactor_->StartRead(&call->incoming_);
    call->reactor_->StartCall();
    call->link_.Connect(options.cancellation, call, call->context_);
    call->Open();
    return call;
  }

  // There may be something for `fill`. Cheap when a write is in flight. Do not hold a lock that
  // `fill` takes.
  void Notify() { Kick(); }

  // Half-closes after everything that `fill` gives has been written.
  void WritesDone() { CloseWhenDrained(); }

  // Ends the call with CANCELLED. Idempotent.
  void Cancel() { context_.TryCancel(); }

 private:
  class Reactor final : public grpc::ClientBidiReactor<Out, In> {
   public:
    explicit Reactor(std::shared_ptr<BidiClient> call) : call_(std::move(call)) {}
    void OnReadDone(bool ok) override { call_->OnRead(ok); }
    void OnWriteDone(bool ok) override { call_->WriteDone(ok); }
    void OnDone(const grpc::Status& status) override {
      call_->OnEnd(status);
      delete this;
    }

   private:
    const std::shared_ptr<BidiClient> call_;
  };

  explicit BidiClient(Handlers handlers) : handlers_(std::move(handlers)) {}

  void OnRead(bool ok) {
    if (!ok) {
      Break();
      return;
    }
    const bool contained = Contain("stream client", [&] { handlers_.on_message(incoming_); });
    if (!contained) context_.TryCancel();
    reactor_->StartRead(&incoming_);
  }

  bool FillAndStart() override {
    if (!handlers_.fill) return false;
    outgoing_.Clear();
    bool filled = false;
    const bool contained = Contain("stream client", [&] { filled = handlers_.fill(outgoing_); });
    if (!contained) context_.TryCancel();
    if (!filled) return false;
    reactor_->StartWrite(&outgoing_);
    return true;
  }

  void Close(bool broken) override {
    if (!broken) reactor_->StartWritesDone();
    reactor_->RemoveHold();
  }

  void OnEnd(const grpc::Status& status) {
    const Handlers handlers = std::move(handlers_);
    Contain("stream client",
            [&] { handlers.on_done(FromGrpcStatus(status), ResponseMetadata(context_)); });
  }

  grpc::ClientContext context_;
  Handlers handlers_;
  In incoming_;
  Out outgoing_;
  Reactor* reactor_ =
      nullptr;  // Valid until OnEnd; used only in reactions and while the hold exists.
  CancelLink link_;
};

}  // namespace penstock::rpc
