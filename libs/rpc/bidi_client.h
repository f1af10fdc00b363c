// Client side of a bidirectional stream.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "libs/rpc/bidi_client_grpc.h"
#include "libs/rpc/bidi_handlers.h"
#include "libs/rpc/bidi_server.h"
#include "libs/rpc/byte_client.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/direct_client.h"
#include "libs/rpc/stream_ends.h"
#include "libs/rpc/unary_call.h"
#include "libs/rpc/write_pump.h"

namespace penstock::rpc {

// A running call. It always has a read outstanding, and never waits for a write before reading, so
// that two of them cannot block each other even where a write completes only when the peer reads
// (in this process). Bound what the peer may send by credit of the application. The call lives
// until on_done, whether or not the handle is kept; dropping the handle does not end it.
// Thread-safe.
//
// `Out` is a message, or grpc::ByteBuffer with the bytes of a `Wire`. Where the server is in this
// process and takes the method directly (direct_methods.h), its functions run inside Notify, and
// this end's inside the server's Notify: hold no lock there that a handler of either end takes. On
// a channel with WireClients they run on an event loop.
template <typename Out, typename In, typename Wire = Out>
class BidiClient final : public WritePump, private ClientEnd<In> {
 public:
  using Handlers = BidiClientHandlers<Out, In>;

  // `method` is "/package.Service/Method".
  static std::shared_ptr<BidiClient> Start(const std::shared_ptr<grpc::Channel>& channel,
                                           const std::string& method, const CallOptions& options,
                                           Handlers handlers) {
    std::shared_ptr<BidiClient> call(new BidiClient(std::move(handlers)));
    const std::shared_ptr<ClientEnd<In>> end(call, call.get());
    call->carrier_ = DirectClient<Out, In, Wire>::Make(channel, method, options, end);
    if (!call->carrier_) {
      call->carrier_ = ByteClient<Out, In>::Make(channel, method, options, end);
    }
    if (!call->carrier_) {
      call->carrier_ = GrpcClient<Out, In>::Make(channel, method, options, end);
    }
    call->carrier_->Start();
    call->link_.Connect(options.cancellation, call, [raw = call.get()] { raw->Cancel(); });
    call->Open();
    return call;
  }

  // There may be something for `fill`. Cheap when a write is in flight. Do not hold a lock that
  // `fill` takes.
  void Notify() {
    if (!carrier_->PassNotify()) Kick();
  }

  // Half-closes after everything that `fill` gives has been written.
  void WritesDone() { CloseWhenDrained(); }

  // Ends the call with CANCELLED. Idempotent.
  void Cancel() { carrier_->Cancel(); }

 private:
  explicit BidiClient(Handlers handlers) : handlers_(std::move(handlers)) {}

  void OnMessage(In& message) override {
    const bool contained = Contain("stream client", [&] { handlers_.on_message(message); });
    if (!contained) Cancel();
  }
  void OnReadsEnded() override { Break(); }
  void OnWritten(bool ok) override { WriteDone(ok); }
  void OnNotified() override { Kick(); }
  void OnEnd(const absl::Status& status, const ResponseMetadata& metadata) override {
    const Handlers handlers = std::move(handlers_);
    Contain("stream client", [&] { handlers.on_done(status, metadata); });
  }

  bool FillAndStart() override {
    if (!handlers_.fill) return false;
    outgoing_.Clear();
    bool filled = false;
    const bool contained = Contain("stream client", [&] { filled = handlers_.fill(outgoing_); });
    if (!contained) Cancel();
    if (!filled) return false;
    carrier_->Write(outgoing_);
    return true;
  }
  void Close(bool broken) override { carrier_->CloseWrites(broken); }

  Handlers handlers_;
  Out outgoing_;
  std::shared_ptr<ClientCarrier<Out>> carrier_;
  CancelLink link_;
};

}  // namespace penstock::rpc
