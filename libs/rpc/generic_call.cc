#include "libs/rpc/generic_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <limits>
#include <mutex>
#include <optional>
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

// All kinds of calls are on the wire bidirectional ones in which one side or both send one message.
class StreamCall final : public GenericStream, public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(GenericRequests requests, std::unique_ptr<Message> incoming,
             GenericStreamHandlers handlers)
      : handlers_(std::move(handlers)),
        requests_(std::move(requests)),
        incoming_(std::move(incoming)) {}

  void Begin(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             const CallOptions& options) {
    Apply(options, std::nullopt, context_);
    upcoming_ = requests_();
    reactor_ = new Reactor(shared_from_this());
    {
      const CallStart start(channel);
      grpc::TemplatedGenericStub<Message, Message>(start.channel())
          .PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), reactor_);
    }
    // Reads start outside reactions; the hold is removed when a read says that the stream is over.
    reactor_->AddHold();
    WriteNext();
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
    void OnReadInitialMetadataDone(bool ok) override { call_->OnHead(ok); }
    void OnWriteDone(bool ok) override {
      if (ok) call_->WriteNext();
    }
    void OnReadDone(bool ok) override { call_->OnRead(ok); }
    void OnDone(const grpc::Status& status) override {
      call_->OnEnd(status);
      delete this;
    }

   private:
    const std::shared_ptr<StreamCall> call_;
  };

  // Sends the next message, and with the last one the end.
  void WriteNext() {
    if (std::exchange(all_sent_, upcoming_ == nullptr)) return;
    outgoing_ = std::move(upcoming_);
    if (outgoing_ == nullptr) return reactor_->StartWritesDone();
    Contain("stream client", [&] { upcoming_ = requests_(); });
    if (upcoming_ != nullptr) return reactor_->StartWrite(outgoing_.get());
    all_sent_ = true;
    reactor_->StartWriteLast(outgoing_.get(), grpc::WriteOptions());
  }

  void OnHead(bool ok) {
    if (ok && handlers_.on_head) {
      Contain("stream client", [&] { handlers_.on_head(ResponseMetadata(context_)); });
    }
    std::optional<bool> early;
    {
      const std::lock_guard lock(mutex_);
      head_seen_ = true;
      early = early_read_;
    }
    if (early) AfterRead(*early);
  }

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

  // In process, an answer that comes with its status is dropped when no read is waiting for it: so
  // reads do not wait for the head, but what they bring does.
  void OnRead(bool ok) {
    {
      const std::lock_guard lock(mutex_);
      if (!head_seen_) {
        early_read_ = ok;
        return;
      }
    }
    AfterRead(ok);
  }

  void AfterRead(bool ok) {
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
    // The handlers may be what keeps the types of the messages.
    incoming_.reset();
    outgoing_.reset();
    upcoming_.reset();
    requests_ = nullptr;
  }

  grpc::ClientContext context_;
  GenericStreamHandlers handlers_;
  // What is sent: of the writing reaction.
  GenericRequests requests_;
  std::unique_ptr<Message> outgoing_;
  std::unique_ptr<Message> upcoming_;
  bool all_sent_ = false;
  std::unique_ptr<Message> incoming_;
  Reactor* reactor_ = nullptr;  // Valid until OnEnd; used in reactions and while the hold exists.
  std::shared_ptr<Cancellation> cancellation_;
  std::uint64_t cancel_id_ = 0;
  std::mutex mutex_;
  std::int64_t credit_ = 0;
  bool head_seen_ = false;
  std::optional<bool> early_read_;  // the first read's result when it came before the head
  bool reading_ = false;
  bool over_ = false;
  bool discard_ = false;
};

}  // namespace

std::shared_ptr<GenericStream> GenericStream::Start(const std::shared_ptr<grpc::Channel>& channel,
                                                    const std::string& method,
                                                    GenericRequests requests,
                                                    std::unique_ptr<Message> message,
                                                    const CallOptions& options,
                                                    GenericStreamHandlers handlers) {
  auto call =
      std::make_shared<StreamCall>(std::move(requests), std::move(message), std::move(handlers));
  call->Begin(channel, method, options);
  return call;
}

std::shared_ptr<GenericStream> GenericStream::Start(const std::shared_ptr<grpc::Channel>& channel,
                                                    const std::string& method,
                                                    const Message& request,
                                                    std::unique_ptr<Message> message,
                                                    const CallOptions& options,
                                                    GenericStreamHandlers handlers) {
  const std::shared_ptr<Message> copy(request.New());
  copy->CopyFrom(request);
  GenericRequests once = [copy, sent = false]() mutable {
    std::unique_ptr<Message> next;
    if (std::exchange(sent, true)) return next;
    next.reset(copy->New());
    next->GetReflection()->Swap(next.get(), copy.get());
    return next;
  };
  return Start(channel, method, std::move(once), std::move(message), options, std::move(handlers));
}

}  // namespace penstock::rpc
