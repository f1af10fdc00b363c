// Server side of a bidirectional stream.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/bidi_handlers.h"
#include "libs/rpc/bidi_server_grpc.h"
#include "libs/rpc/bidi_server_wire.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/direct_link.h"
#include "libs/rpc/direct_methods.h"
#include "libs/rpc/direct_server.h"
#include "libs/rpc/stream_ends.h"
#include "libs/rpc/write_pump.h"

namespace penstock::rpc {

// A running stream. Always has a read outstanding until the client half-closes; bound what it may
// send by credit of the application. It finishes by itself when the client is gone. Thread-safe.
// For the way without gRPC see BidiClient.
template <typename In, typename Out>
class BidiServer final : public WritePump, private ServerEnd<In> {
 public:
  using Handlers = BidiServerHandlers<In, Out>;

  // Creates the stream and returns its reactor for gRPC. `accept(std::shared_ptr<BidiServer>)`
  // returns the handlers; none is called before it returns, whatever other threads do with the
  // stream meanwhile. It may call Finish to refuse.
  template <typename Accept>
  static grpc::ServerBidiReactor<In, Out>* Serve(grpc::CallbackServerContext* context,
                                                 const Accept& accept) {
    std::shared_ptr<BidiServer> stream(new BidiServer(*context));
    auto carrier = std::make_unique<GrpcServer<In, Out>>(*context, EndOf(stream));
    auto* const reactor = carrier->reactor();
    stream->Begin(stream, std::move(carrier), accept);
    return reactor;
  }

  // The same for a stream of a client in this process.
  template <typename Accept>
  static void ServeDirect(const std::shared_ptr<DirectLink<In, Out>>& link, MetadataList metadata,
                          std::shared_ptr<ClientEnd<Out>> client, const Accept& accept) {
    std::shared_ptr<BidiServer> stream(new BidiServer(std::move(metadata), "inproc"));
    link->Connect(std::move(client), EndOf(stream));
    stream->Begin(stream, std::make_unique<DirectServer<In, Out>>(link), accept);
    link->Opened();
  }

  // The same for a stream that is served without gRPC's library.
  template <typename Accept>
  static void ServeWire(WireOpening opening, const Accept& accept) {
    std::shared_ptr<BidiServer> stream(
        new BidiServer(std::move(opening.metadata), std::move(opening.peer), opening.deadline));
    ServerEnd<In>& end = *stream;
    auto carrier = std::make_unique<WireServer<In, Out>>(opening.call, end);
    opening.call->Connect({stream, carrier->events()});
    stream->Begin(stream, std::move(carrier), accept);
  }

  // There may be something for `fill`. Cheap when a write is in flight. Do not hold a lock that
  // `fill` takes.
  void Notify() {
    if (!carrier_->PassNotify()) Kick();
  }

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
  template <typename... Args>
  explicit BidiServer(Args&&... args) : call_context_(std::forward<Args>(args)...) {}

  static std::shared_ptr<ServerEnd<In>> EndOf(const std::shared_ptr<BidiServer>& stream) {
    return {stream, stream.get()};
  }

  template <typename Accept>
  void Begin(const std::shared_ptr<BidiServer>& self, std::unique_ptr<ServerCarrier<Out>> carrier,
             const Accept& accept) {
    carrier_ = std::move(carrier);
    const bool contained = Contain("stream handler", [&] { handlers_ = accept(self); });
    if (!contained) Finish(absl::InternalError("internal error"));
    if (!closing()) carrier_->Start();
    Open();
  }

  bool OnMessage(In& message) override {
    const bool contained = Contain("stream handler", [&] { handlers_.on_message(message); });
    if (!contained) Finish(absl::InternalError("internal error"));
    return !closing();
  }
  void OnReadsEnded() override {
    if (handlers_.on_half_close) {
      Contain("stream handler", [&] { handlers_.on_half_close(); });
    } else {
      Finish(absl::OkStatus());
    }
  }
  void OnWritten(bool ok) override { WriteDone(ok); }
  void OnNotified() override { Kick(); }
  void OnCancelled() override {
    Contain("cancelled stream", [&] { call_context_.cancellation()->Cancel(); });
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      if (!final_status_) final_status_ = absl::CancelledError("the client is gone");
    }
    Break();
  }
  void OnEnd() override {
    const Handlers handlers = std::move(handlers_);
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      status = cancelled_ ? absl::CancelledError("the client is gone") : *final_status_;
    }
    if (!handlers.on_done) return;
    Contain("stream handler", [&] { handlers.on_done(status); });
  }

  bool FillAndStart() override {
    if (!handlers_.fill) return false;
    outgoing_.Clear();
    bool filled = false;
    const bool contained = Contain("stream handler", [&] { filled = handlers_.fill(outgoing_); });
    if (!contained) Finish(absl::InternalError("internal error"));
    if (!filled) return false;
    carrier_->Write(outgoing_);
    return true;
  }
  void Close(bool broken) override {
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      // A failed write without a status yet means that the client is gone; OnCancelled is on its
      // way.
      if (!final_status_ || (broken && final_status_->ok())) {
        final_status_ = absl::CancelledError("the client is gone");
      }
      status = *final_status_;
    }
    carrier_->Finish(status, call_context_);
  }

  CallContext call_context_;
  Handlers handlers_;
  Out outgoing_;
  std::unique_ptr<ServerCarrier<Out>> carrier_;
  std::mutex mutex_;
  bool cancelled_ = false;
  std::optional<absl::Status> final_status_;
};

template <typename In, typename Out>
void DirectMethods::Typed<In, Out>::Serve(WireOpening opening) const {
  BidiServer<In, Out>::ServeWire(std::move(opening), accept);
}

}  // namespace penstock::rpc
