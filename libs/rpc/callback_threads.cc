#include "libs/rpc/callback_threads.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <memory>

namespace penstock::rpc {
namespace {

// A call that is made and never started: nothing is connected or sent, but its channel counts as a
// user of the callback threads.
class NeverStarted final : public grpc::ClientUnaryReactor {
 public:
  NeverStarted()
      : channel_(grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials())) {
    grpc::GenericStub(channel_).PrepareUnaryCall(&context_, "/none", grpc::StubOptions(), &request_,
                                                 &response_, this);
  }
  void OnDone(const grpc::Status&) override {}

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

}  // namespace

void KeepCallbackThreads() { [[maybe_unused]] static const auto* const kept = new NeverStarted(); }

}  // namespace penstock::rpc
