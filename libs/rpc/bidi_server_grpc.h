// A server's end of a bidirectional stream over gRPC.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "libs/rpc/call_context.h"
#include "libs/rpc/status.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

// Belongs to `end`, which it keeps alive until the call's end.
template <typename In, typename Out>
class GrpcServer final : public ServerCarrier<Out>, private grpc::ServerBidiReactor<In, Out> {
 public:
  GrpcServer(grpc::CallbackServerContext& context, std::shared_ptr<ServerEnd<In>> end)
      : context_(context), end_(std::move(end)) {}

  grpc::ServerBidiReactor<In, Out>* reactor() { return this; }

  void Start() override { this->StartRead(&incoming_); }
  void Write(Out& message) override { this->StartWrite(&message); }
  void Finish(const absl::Status& status, CallContext& context) override {
    context.ApplyTrailing(context_);
    grpc::ServerBidiReactor<In, Out>::Finish(ToGrpcStatus(status));
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return end_->OnReadsEnded();
    // Starting a read after the end is harmless inside a reaction: OnDone comes only after it.
    if (end_->OnMessage(incoming_)) this->StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override { end_->OnWritten(ok); }
  void OnCancel() override { end_->OnCancelled(); }
  void OnDone() override {
    // The last owner of this may be `end`.
    const auto end = std::move(end_);
    end->OnEnd();
  }

  grpc::CallbackServerContext& context_;  // Valid until OnDone.
  std::shared_ptr<ServerEnd<In>> end_;
  In incoming_;
};

}  // namespace penstock::rpc
