// A client's end of a bidirectional stream over gRPC.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/status.h"
#include "libs/rpc/stream_ends.h"

namespace penstock::rpc {

template <typename Out, typename In>
class GrpcClient final : public ClientCarrier<Out>, private grpc::ClientBidiReactor<Out, In> {
 public:
  // Holds `end` until its OnEnd.
  static std::shared_ptr<GrpcClient> Make(const std::shared_ptr<grpc::Channel>& channel,
                                          const std::string& method, const CallOptions& options,
                                          std::shared_ptr<ClientEnd<In>> end) {
    std::shared_ptr<GrpcClient> call(new GrpcClient());
    call->self_ = call;
    call->end_ = std::move(end);
    Apply(options, std::nullopt, call->context_);
    {
      const CallStart start(channel);
      grpc::TemplatedGenericStub<Out, In>(start.channel())
          .PrepareBidiStreamingCall(&call->context_, method, grpc::StubOptions(), call.get());
    }
    return call;
  }

  void Start() override {
    // Writes start outside reactions too; the hold is removed in CloseWrites, after which none can.
    this->AddHold();
    this->StartRead(&incoming_);
    this->StartCall();
  }
  void Write(Out& message) override { this->StartWrite(&message); }
  void CloseWrites(bool broken) override {
    if (!broken) this->StartWritesDone();
    this->RemoveHold();
  }
  void Cancel() override { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return end_->OnReadsEnded();
    end_->OnMessage(incoming_);
    this->StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override { end_->OnWritten(ok); }
  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    const auto end = std::move(end_);
    end->OnEnd(FromGrpcStatus(status), ResponseMetadata(context_));
  }

  grpc::ClientContext context_;
  In incoming_;
  // Until OnDone.
  std::shared_ptr<GrpcClient> self_;
  std::shared_ptr<ClientEnd<In>> end_;
};

}  // namespace penstock::rpc
