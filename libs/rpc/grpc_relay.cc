#include "libs/rpc/grpc_relay.h"

#include <memory>
#include <string>
#include <utility>

#include "libs/h2/grpc_wire.h"
#include "libs/http/cancelable.h"
#include "libs/rpc/grpc_answer.h"

namespace penstock::rpc {
namespace {

// A call on its way through; on its loop only. It deletes itself when neither side is left.
//
// Bytes that arrive on one side are consumed there when they have left the queue of the other, so
// that each end sees the other's window.
class RelayedCall {
 public:
  RelayedCall(h2::Stream& front, const RelayTarget& target)
      : target_(target), front_(*this), back_(*this), front_stream_(&front) {
    front.SetHandler(&front_);
  }
  ~RelayedCall() {
    if (deadline_ != nullptr) deadline_->Cancel();
  }

  void Start(http::EventLoops& loops, RelayedRequest request) {
    if (request.timeout) {
      deadline_ = loops.RunAfter(front_stream_->loop(), *request.timeout, [this] { OnDeadline(); });
    }
    owner_ = std::move(request.owner);
    const std::string_view received = request.received;
    back_stream_ =
        &target_.client.Open(std::move(request.head), request.end && received.empty(), &back_);
    if (!received.empty()) back_stream_->Write(h2::Chunk::Copy(received));
    if (request.end && !received.empty()) back_stream_->End();
  }

 private:
  class Front final : public h2::StreamHandler {
   public:
    explicit Front(RelayedCall& call) : call_(call) {}
    void OnHead(h2::Fields, bool) override {}
    void OnData(h2::Chunk data) override {
      if (call_.back_stream_ != nullptr) return call_.back_stream_->Write(std::move(data));
      // Nobody wants it any more.
      call_.front_stream_->Consume(data.size());
    }
    void OnEnd(h2::Fields) override {
      if (call_.back_stream_ != nullptr) call_.back_stream_->End();
    }
    void OnSent(std::size_t bytes) override {
      if (call_.back_stream_ != nullptr) call_.back_stream_->Consume(bytes);
    }
    void OnClosed(h2::ErrorCode) override { call_.OnFrontClosed(); }

   private:
    RelayedCall& call_;
  };

  class Back final : public h2::StreamHandler {
   public:
    explicit Back(RelayedCall& call) : call_(call) {}
    void OnHead(h2::Fields head, bool end) override {
      call_.has_head_ = true;
      call_.has_ended_ = end;
      call_.front_stream_->SendHead(call_.Down(std::move(head)), end);
    }
    void OnData(h2::Chunk data) override { call_.front_stream_->Write(std::move(data)); }
    void OnEnd(h2::Fields trailers) override {
      call_.has_ended_ = true;
      call_.front_stream_->End(call_.Down(std::move(trailers)));
    }
    void OnSent(std::size_t bytes) override { call_.front_stream_->Consume(bytes); }
    void OnClosed(h2::ErrorCode code) override { call_.OnBackClosed(code); }

   private:
    RelayedCall& call_;
  };

  // What passes down of a head or trailers; the same block when all of it does.
  h2::Fields Down(h2::Fields fields) const {
    if (target_.passes_down == nullptr) return fields;
    bool passes = true;
    for (const h2::Fields::Field field : fields) passes &= target_.passes_down(field.name);
    if (passes) return fields;
    h2::Fields filtered;
    for (const h2::Fields::Field field : fields) {
      if (target_.passes_down(field.name)) filtered.Add(field.name, field.value);
    }
    return filtered;
  }

  void OnFrontClosed() {
    front_stream_ = nullptr;
    // The back has no handler after its reset.
    if (back_stream_ != nullptr) {
      back_stream_->Reset(has_ended_ ? h2::ErrorCode::kNoError : h2::ErrorCode::kCancel);
    }
    delete this;
  }

  void OnBackClosed(h2::ErrorCode code) {
    back_stream_ = nullptr;
    if (has_ended_) return;
    has_ended_ = true;
    Answer(
        code == h2::ErrorCode::kConnectionLost
            ? target_.away()
            : absl::Status(h2::GrpcCodeOf(code), std::string(target_.label) + " ended the call"));
  }

  void OnDeadline() {
    if (back_stream_ != nullptr) {
      std::exchange(back_stream_, nullptr)->Reset(h2::ErrorCode::kCancel);
    }
    if (has_ended_) return;
    has_ended_ = true;
    Answer(absl::DeadlineExceededError("Deadline Exceeded"));
  }

  void Answer(const absl::Status& status) {
    if (has_head_) {
      front_stream_->End(GrpcTrailers(status));
    } else {
      AnswerGrpcStatus(*front_stream_, status);
    }
  }

  std::shared_ptr<const void> owner_;
  const RelayTarget& target_;
  Front front_;
  Back back_;
  // Null once they are over. While the back lives, so does the front.
  h2::Stream* front_stream_;
  h2::Stream* back_stream_ = nullptr;
  bool has_head_ = false;
  // The front has its answer.
  bool has_ended_ = false;
  std::shared_ptr<http::Cancelable> deadline_;
};

}  // namespace

void RelayGrpc(http::EventLoops& loops, h2::Stream& front, const RelayTarget& target,
               RelayedRequest request) {
  auto* const call = new RelayedCall(front, target);
  call->Start(loops, std::move(request));
}

}  // namespace penstock::rpc
