#include "libs/rpc/generic_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <limits>
#include <mutex>
#include <utility>

#include "libs/rpc/call_gate.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/status.h"
#include "libs/rpc/unary_call.h"

namespace penstock::rpc {

using google::protobuf::Message;

void GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 std::shared_ptr<const Message> request, std::shared_ptr<Message> response,
                 const CallOptions& options, GenericDone done) {
  struct State {
    grpc::ClientContext context;
    std::shared_ptr<const Message> request;
    std::shared_ptr<Message> response;
    GenericDone done;
    CancelLink link;
  };
  auto state = std::make_shared<State>();
  state->request = std::move(request);
  state->response = std::move(response);
  state->done = std::move(done);
  Apply(options, kUnaryTimeoutDefault, state->context);
  state->link.Connect(options.cancellation, state,
                      [raw = state.get()] { raw->context.TryCancel(); });
  const CallStart start(channel);
  grpc::TemplatedGenericStub<Message, Message>(start.channel())
      .UnaryCall(&state->context, method, grpc::StubOptions(), state->request.get(),
                 state->response.get(), [state](const grpc::Status& status) {
                   Contain("unary call", [&] {
                     const auto callback = std::move(state->done);
                     callback(FromGrpcStatus(status), ResponseMetadata(state->context));
                   });
                 });
}

namespace {

// A server-streaming call is on the wire a bidirectional one in which the client sends one message
// and half-closes.
class StreamCall final : public GenericServerStream,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(std::unique_ptr<Message> incoming, GenericStreamHandlers handlers)
      : handlers_(std::move(handlers)), incoming_(std::move(incoming)) {}

  void Begin(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             const Message& request, const CallOptions& options) {
    Apply(options, std::nullopt, context_);
    request_.reset(request.New());
    request_->CopyFrom(request);
    reactor_ = new Reactor(shared_from_this());
    {
      const CallStart start(channel);
      grpc::TemplatedGenericStub<Message, Message>(start.channel())
          .PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), reactor_);
    }
    // Reads start outside reactions; the hold is removed when a read says that the stream is over.
    reactor_->AddHold();
    reactor_->StartWriteLast(request_.get(), grpc::WriteOptions());
    reactor_->StartCall();
    if (options.cancellation) {
      cancellation_ = options.cancellation;
      cancel_id_ = cancellation_->Subscribe([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Cancel();
      });
    }
  }

  ~StreamCall() override {
    if (cancellation_) cancellation_->Unsubscribe(cancel_id_);
  }

  void Request(std::int64_t count) override {
    if (count > 0) Grant(count);
  }

  void Cancel() override {
    context_.TryCancel();
    {
      const std::lock_guard lock(mutex_);
      discard_ = true;
    }
    Grant(std::numeric_limits<std::int64_t>::max());
  }

 private:
  class Reactor final : public grpc::ClientBidiReactor<Message, Message> {
   public:
    explicit Reactor(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
    void OnReadDone(bool ok) override { call_->OnRead(ok); }
    void OnDone(const grpc::Status& status) override {
      call_->OnEnd(status);
      delete this;
    }

   private:
    const std::shared_ptr<StreamCall> call_;
  };

  void Grant(std::int64_t count) {
    {
      const std::lock_guard lock(mutex_);
      credit_ = count > std::numeric_limits<std::int64_t>::max() - credit_
                    ? std::numeric_limits<std::int64_t>::max()
                    : credit_ + count;
      if (reading_ || over_) return;
      reading_ = true;
    }
    reactor_->StartRead(incoming_.get());
  }

  void OnRead(bool ok) {
    bool discard = false;
    {
      const std::lock_guard lock(mutex_);
      if (ok) {
        if (!discard_) --credit_;  // Cancelled: reads on until the end.
        discard = discard_;
      } else {
        reading_ = false;
        over_ = true;
      }
    }
    if (!ok) {
      reactor_->RemoveHold();
      return;
    }
    if (!discard && !Contain("stream client", [&] { handlers_.on_message(*incoming_); })) Cancel();
    {
      const std::lock_guard lock(mutex_);
      if (credit_ <= 0) {
        reading_ = false;
        return;
      }
    }
    reactor_->StartRead(incoming_.get());
  }

  void OnEnd(const grpc::Status& status) {
    const GenericStreamHandlers handlers = std::move(handlers_);
    Contain("stream client",
            [&] { handlers.on_done(FromGrpcStatus(status), ResponseMetadata(context_)); });
  }

  grpc::ClientContext context_;
  GenericStreamHandlers handlers_;
  std::unique_ptr<Message> request_;
  const std::unique_ptr<Message> incoming_;
  Reactor* reactor_ = nullptr;  // Valid until OnEnd; used in reactions and while the hold exists.
  std::shared_ptr<Cancellation> cancellation_;
  std::uint64_t cancel_id_ = 0;
  std::mutex mutex_;
  std::int64_t credit_ = 0;
  bool reading_ = false;
  bool over_ = false;
  bool discard_ = false;
};

}  // namespace

std::shared_ptr<GenericServerStream> GenericServerStream::Start(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
    const Message& request, std::unique_ptr<Message> message, const CallOptions& options,
    GenericStreamHandlers handlers) {
  auto call = std::make_shared<StreamCall>(std::move(message), std::move(handlers));
  call->Begin(channel, method, request, options);
  return call;
}

}  // namespace penstock::rpc
