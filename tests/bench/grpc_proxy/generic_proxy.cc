// The other way to pass calls on, for comparison: gRPC's generic callback API, without filter,
// routes or keys. It takes a message apart on one side and makes it anew on the other.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/bench/grpc_proxy/echo_server.h"
#include "tests/bench/grpc_proxy/roles.h"

namespace penstock::gateway {
namespace {

// Both reactors are members and keep the object alive until their OnDone.
class Call : public std::enable_shared_from_this<Call> {
 public:
  explicit Call(grpc::GenericCallbackServerContext* context)
      : context_(context), front_(*this), back_(*this) {}
  grpc::ServerGenericBidiReactor* front() { return &front_; }

  void Start(const std::shared_ptr<grpc::Channel>& channel) {
    self_front_ = shared_from_this();
    self_back_ = shared_from_this();
    grpc::GenericStub(channel).PrepareBidiStreamingCall(&back_context_, context_->method(),
                                                        grpc::StubOptions(), &back_);
    back_.AddMultipleHolds(2);
    const std::lock_guard lock(mutex_);
    back_.StartRead(&down_);
    back_.StartCall();
    front_.StartRead(&up_);
  }

 private:
  class Front final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Front(Call& call) : call_(call) {}
    void OnReadDone(bool ok) override { call_.OnFrontRead(ok); }
    void OnWriteDone(bool) override { call_.OnFrontWritten(); }
    void OnCancel() override { call_.back_context_.TryCancel(); }
    void OnDone() override { const auto last = std::move(call_.self_front_); }

   private:
    Call& call_;
  };
  class Back final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Back(Call& call) : call_(call) {}
    void OnReadDone(bool ok) override { call_.OnBackRead(ok); }
    void OnWriteDone(bool ok) override { call_.OnBackWritten(ok); }
    void OnDone(const grpc::Status& status) override {
      const auto last = std::move(call_.self_back_);
      call_.front_.Finish(status);
    }

   private:
    Call& call_;
  };

  void OnFrontRead(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!writes_held_) return;
    if (ok) return back_.StartWrite(&up_);
    back_.StartWritesDone();
    Release();
  }
  void OnBackWritten(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!writes_held_) return;
    if (ok) return front_.StartRead(&up_);
    Release();
  }
  void OnBackRead(bool ok) {
    const std::lock_guard lock(mutex_);
    if (ok) return front_.StartWrite(&down_);
    Release();
    back_.RemoveHold();
  }
  void OnFrontWritten() {
    const std::lock_guard lock(mutex_);
    back_.StartRead(&down_);
  }
  void Release() {
    if (std::exchange(writes_held_, false)) back_.RemoveHold();
  }

  grpc::GenericCallbackServerContext* const context_;
  grpc::ClientContext back_context_;
  Front front_;
  Back back_;
  grpc::ByteBuffer up_;
  grpc::ByteBuffer down_;
  std::mutex mutex_;
  bool writes_held_ = true;
  std::shared_ptr<Call> self_front_;
  std::shared_ptr<Call> self_back_;
};

class Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    const auto call = std::make_shared<Call>(context);
    call->Start(channel_);
    return call->front();
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace

int RunGenericProxy(const std::string& address) {
  Service service(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&service);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const auto server = builder.BuildAndStart();
  Serve(port);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace penstock::gateway
