// A server's end of a bidirectional stream over a WireServerCall.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "libs/rpc/byte_stream.h"
#include "libs/rpc/stream_ends.h"
#include "libs/rpc/wire_server.h"

namespace penstock::rpc {

// Belongs to `end`.
template <typename In, typename Out>
class WireServer final : public ServerCarrier<Out>, private WireServerEvents {
 public:
  WireServer(std::shared_ptr<WireServerCall> call, ServerEnd<In>& end)
      : call_(std::move(call)), end_(end) {}

  WireServerEvents* events() { return this; }

  void Start() override { call_->Start(); }
  void Write(Out& message) override { call_->Write(ToWire(message)); }
  bool PassNotify() override { return call_->PassNotify(); }
  void Finish(const absl::Status& status, CallContext& context) override {
    call_->Finish(status, context.TakeTrailing());
  }

 private:
  Taken OnBytes(std::string_view message) override {
    if (!incoming_.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return Taken::kUnreadable;
    }
    return end_.OnMessage(incoming_) ? Taken::kMore : Taken::kEnough;
  }
  void OnReadsEnded() override { end_.OnReadsEnded(); }
  void OnWritten(bool ok) override { end_.OnWritten(ok); }
  void OnNotified() override { end_.OnNotified(); }
  void OnCancelled() override { end_.OnCancelled(); }
  void OnEnd() override { end_.OnEnd(); }

  const std::shared_ptr<WireServerCall> call_;
  ServerEnd<In>& end_;
  In incoming_;
};

}  // namespace penstock::rpc
