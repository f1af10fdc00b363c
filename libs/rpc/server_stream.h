// Server side of a server-streaming call: a bounded queue in front of a reactor.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
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

struct ServerStreamLimits {
  std::size_t messages_max = 256;
  std::size_t bytes_max =
      4 * 1024 * 1024;  // Serialized size; a larger message is taken when the queue is empty.
};

// The owner's end of a running stream; it may be kept longer than the call. Thread-safe.
template <typename Response>
class ServerStream final : public WritePump,
                           public std::enable_shared_from_this<ServerStream<Response>> {
 public:
  // Creates the stream and returns its reactor for gRPC. `handler(const Request&,
  // std::shared_ptr<ServerStream>)` runs at once, under the callback guard; the request is valid
  // only while it runs. An exception ends the stream with INTERNAL.
  template <typename Request, typename Handler>
  static grpc::ServerWriteReactor<Response>* Serve(grpc::CallbackServerContext* context,
                                                   const Request* request,
                                                   ServerStreamLimits limits,
                                                   const Handler& handler) {
    std::shared_ptr<ServerStream> stream(new ServerStream(context, limits));
    auto* reactor = new Reactor(stream);
    stream->reactor_ = reactor;
    if (!Contain("stream handler", [&] { handler(*request, stream); })) {
      stream->Finish(absl::InternalError("internal error"));
    }
    stream->Open();
    return reactor;
  }

  // Queues a message. False when the queue is full (the message is not taken: on_writable will be
  // called once half of it is free) or the stream has ended.
  [[nodiscard]] bool Write(Response message) {
    {
      const std::lock_guard lock(mutex_);
      if (final_status_) return false;
      const std::size_t bytes = message.ByteSizeLong();
      if (!queue_.empty() &&
          (queue_.size() >= limits_.messages_max || bytes_ + bytes > limits_.bytes_max)) {
        refused_ = true;
        return false;
      }
      bytes_ += bytes;
      queue_.emplace_back(bytes, std::move(message));
    }
    Kick();
    return true;
  }

  // Ends the stream: with OK after what is queued, with an error after the write in flight. The
  // first call counts.
  void Finish(const absl::Status& status) {
    {
      const std::lock_guard lock(mutex_);
      if (final_status_) return;
      final_status_ = status;
    }
    status.ok() ? CloseWhenDrained() : Break();
  }

  // True once no message will be taken any more.
  bool ended() const {
    const std::lock_guard lock(mutex_);
    return final_status_.has_value();
  }
  std::size_t queued() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }

  // Sets what happens when a queue that refused a message has room again. Runs in a reaction, or
  // inside a Write of another thread: do not hold a lock that it takes while calling Write. Set it
  // in the handler.
  void set_on_writable(std::function<void()> callback) { on_writable_ = std::move(callback); }
  // Sets what happens at the end: once, last, with the status given to Finish, or CANCELLED when
  // the client is gone. Set it in the handler.
  void set_on_done(std::function<void(const absl::Status&)> callback) {
    on_done_ = std::move(callback);
  }

  // The caller's metadata and cancellation (the way to learn at once that it is gone), and the
  // trailing metadata.
  CallContext& context() { return call_context_; }

 private:
  class Reactor final : public grpc::ServerWriteReactor<Response> {
   public:
    explicit Reactor(std::shared_ptr<ServerStream> stream) : stream_(std::move(stream)) {}
    void OnWriteDone(bool ok) override { stream_->WriteDone(ok); }
    void OnCancel() override { stream_->OnCancelled(); }
    void OnDone() override {
      stream_->OnEnd();
      delete this;
    }

   private:
    const std::shared_ptr<ServerStream> stream_;
  };

  ServerStream(grpc::CallbackServerContext* context, ServerStreamLimits limits)
      : limits_(limits), grpc_context_(context), call_context_(*context) {}

  bool FillAndStart() override {
    bool writable = false;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return false;
      bytes_ -= queue_.front().first;
      outgoing_ = std::move(queue_.front().second);
      queue_.pop_front();
      if (refused_ && queue_.size() <= limits_.messages_max / 2 &&
          bytes_ <= limits_.bytes_max / 2) {
        refused_ = false;
        writable = !final_status_;
      }
    }
    if (writable && on_writable_) Contain("stream handler", [&] { on_writable_(); });
    reactor_->StartWrite(&outgoing_);
    return true;
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

  void Close(bool broken) override {
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      // A failed write without a status yet means that the client is gone; OnCancel is on its way.
      if (!final_status_ || (broken && final_status_->ok())) {
        final_status_ = absl::CancelledError("the client is gone");
      }
      status = *final_status_;
      queue_.clear();
      bytes_ = 0;
    }
    call_context_.ApplyTrailing(*grpc_context_);
    reactor_->Finish(ToGrpcStatus(status));
  }

  void OnEnd() {
    const auto on_done = std::move(on_done_);
    on_writable_ = nullptr;
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      status = cancelled_ ? absl::CancelledError("the client is gone") : *final_status_;
    }
    if (on_done) Contain("stream handler", [&] { on_done(status); });
  }

  const ServerStreamLimits limits_;
  grpc::CallbackServerContext* const grpc_context_;  // Valid until OnEnd.
  CallContext call_context_;
  std::function<void()> on_writable_;
  std::function<void(const absl::Status&)> on_done_;
  Reactor* reactor_ = nullptr;  // Valid until Close, and in reactions.
  Response outgoing_;
  mutable std::mutex mutex_;
  std::deque<std::pair<std::size_t, Response>> queue_;
  std::size_t bytes_ = 0;
  bool refused_ = false;
  bool cancelled_ = false;
  std::optional<absl::Status> final_status_;
};

}  // namespace penstock::rpc
