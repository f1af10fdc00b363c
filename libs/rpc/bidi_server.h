// Server side of a bidirectional stream.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/status.h"
#include "libs/rpc/write_pump.h"

namespace penstock::rpc {

// What the owner of a server stream does. All run under the callback guard and must not block. They
// are destroyed after on_done, so they may keep their owner alive.
template <typename In, typename Out>
struct BidiServerHandlers {
  // Packs what waits to be sent into the empty `message`; false when nothing waits. Runs in a
  // reaction or inside Notify, in the thread that called it; never twice at a time. No lock of the
  // stream is held.
  std::function<bool(Out& message)> fill;
  // A message has come. One at a time; the next read starts when it returns. The message is reused.
  std::function<void(In& message)> on_message;
  // The client will send no more (it half-closed, or is gone). When not set, the stream is finished
  // with OK once everything that `fill` gives has been written.
  std::function<void()> on_half_close;
  // The end, exactly once, after every other callback: the status given to Finish, or CANCELLED
  // when the client is gone.
  std::function<void(const absl::Status&)> on_done;
};

// A running stream. Always has a read outstanding until the client half-closes; bound what it may
// send by credit of the application. It finishes by itself when the client is gone. Thread-safe.
template <typename In, typename Out>
class BidiServer final : public WritePump,
                         public std::enable_shared_from_this<BidiServer<In, Out>> {
 public:
  using Handlers = BidiServerHandlers<In, Out>;

  // Creates the stream and returns its reactor for gRPC. `accept(std::shared_ptr<BidiServer>)`
  // returns the handlers; none is called before it returns, whatever other threads do with the
  // stream meanwhile. It may call Finish to refuse.
  template <typename Accept>
  static grpc::ServerBidiReactor<In, Out>* Serve(grpc::CallbackServerContext* context,
                                                 const Accept& accept) {
    std::shared_ptr<BidiServer> stream(new BidiServer(context));
    auto* reactor = new Reactor(stream);
    stream->reactor_ = reactor;
    const bool contained = Contain("stream handler", [&] { stream->handlers_ = accept(stream); });
    if (!contained) stream->Finish(absl::InternalError("internal error"));
    if (!stream->closing()) reactor->StartRead(&stream->incoming_);
    stream->Open();
    return reactor;
  }

  // There may be something for `fill`. Cheap when a write is in flight. Do not hold a lock that
  // `fill` takes.
  void Notify() { Kick(); }

  // Ends the stream: with OK after everything that `fill` gives has been written, with an error
  // after the write in flight. The first call counts.
  void Finish(const absl::Status& status) {
    {
      const std::lock_guard lock(mutex_);
      if (final_status_) return;
      final_status_ = status;
    }
    status.ok() ? CloseWhenDrained() : Break();
  }

  // The caller's metadata and cancellation, and the trailing metadata of the end.
  CallContext& context() { return call_context_; }

 private:
  class Reactor final : public grpc::ServerBidiReactor<In, Out> {
   public:
    explicit Reactor(std::shared_ptr<BidiServer> stream) : stream_(std::move(stream)) {}
    void OnReadDone(bool ok) override { stream_->OnRead(ok); }
    void OnWriteDone(bool ok) override { stream_->WriteDone(ok); }
    void OnCancel() override { stream_->OnCancelled(); }
    void OnDone() override {
      stream_->OnEnd();
      delete this;
    }

   private:
    const std::shared_ptr<BidiServer> stream_;
  };

  explicit BidiServer(grpc::CallbackServerContext* context)
      : grpc_context_(context), call_context_(*context) {}

  void OnRead(bool ok) {
    if (!ok) {
      if (handlers_.on_half_close) {
        Contain("stream handler", [&] { handlers_.on_half_close(); });
      } else {
        Finish(absl::OkStatus());
      }
      return;
    }
    const bool contained = Contain("stream handler", [&] { handlers_.on_message(incoming_); });
    if (!contained) Finish(absl::InternalError("internal error"));
    // Starting a read after the end is harmless inside a reaction: gRPC deletes the reactor only
    // after it.
    if (!closing()) reactor_->StartRead(&incoming_);
  }

  void OnCancelled() {
    Contain("cancelled stream", [&] { call_context_.cancellation()->Cancel(); });
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      if (!final_status_) final_status_ = absl::CancelledError("the client is gone");
    }
    Break();
  }

  bool FillAndStart() override {
    if (!handlers_.fill) return false;
    outgoing_.Clear();
    bool filled = false;
    const bool contained = Contain("stream handler", [&] { filled = handlers_.fill(outgoing_); });
    if (!contained) Finish(absl::InternalError("internal error"));
    if (!filled) return false;
    reactor_->StartWrite(&outgoing_);
    return true;
  }

  void Close(bool broken) override {
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      // A failed write without a status yet means that the client is gone; OnCancel is on its way.
      if (!final_status_ || (broken && final_status_->ok())) {
        final_status_ = absl::CancelledError("the client is gone");
      }
      status = *final_status_;
    }
    call_context_.ApplyTrailing(*grpc_context_);
    reactor_->Finish(ToGrpcStatus(status));
  }

  void OnEnd() {
    const Handlers handlers = std::move(handlers_);
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      status = cancelled_ ? absl::CancelledError("the client is gone") : *final_status_;
    }
    if (!handlers.on_done) return;
    Contain("stream handler", [&] { handlers.on_done(status); });
  }

  grpc::CallbackServerContext* const grpc_context_;  // Valid until OnEnd.
  CallContext call_context_;
  Handlers handlers_;
  In incoming_;
  Out outgoing_;
  Reactor* reactor_ = nullptr;  // Valid until Close, and in reactions.
  std::mutex mutex_;
  bool cancelled_ = false;
  std::optional<absl::Status> final_status_;
};

}  // namespace penstock::rpc
