#include "libs/rpc/wire_server.h"

#include <utility>

#include "libs/rpc/grpc_answer.h"
#include "libs/rpc/steps.h"
#include "libs/rpc/wire_fields.h"

namespace penstock::rpc {

WireServerCall::WireServerCall(http::EventLoops& loops, h2::Stream& stream,
                               std::shared_ptr<DirectMethods::Calls> calls,
                               std::size_t message_bytes_max)
    : loops_(loops),
      loop_(stream.loop()),
      calls_(std::move(calls)),
      message_bytes_max_(message_bytes_max),
      stream_(&stream),
      reader_(message_bytes_max) {}

void WireServerCall::Open(std::optional<std::chrono::microseconds> timeout, bool has_ended) {
  has_peer_ended_ = has_ended;
  self_ = shared_from_this();
  stream_->SetHandler(this);
  if (!timeout) return;
  deadline_ = loops_.RunAfter(loop_, *timeout, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->RunStep([](WireServerCall& call) {
      call.GiveUp(absl::DeadlineExceededError("Deadline Exceeded"));
    });
  });
}

// Does `step` on the loop, unless the call is over for the server.
template <typename Step>
void WireServerCall::Run(Step step) {
  if (loops_.CurrentLoop() == loop_) return RunStep(std::move(step));
  loops_.Post(loop_, [self = shared_from_this(), step = std::move(step)]() mutable {
    self->RunStep(std::move(step));
  });
}

template <typename Step>
void WireServerCall::RunStep(Step step) {
  Steps::Run([self = shared_from_this(), step = std::move(step)]() mutable {
    if (self->events_ != nullptr) step(*self);
  });
}

void WireServerCall::Start() {
  Run([](WireServerCall& call) {
    call.is_reading_ = true;
    call.Deliver();
  });
}

void WireServerCall::Write(h2::Chunk message) {
  Run([message = std::move(message)](WireServerCall& call) mutable {
    if (call.stream_ == nullptr || call.has_answered_) return call.events_->OnWritten(false);
    if (message.size() - h2::kGrpcPrefixBytes > call.message_bytes_max_) {
      call.is_writing_ = true;
      return call.GiveUp(absl::ResourceExhaustedError("a message to be sent is too large"));
    }
    if (!std::exchange(call.has_sent_head_, true)) call.stream_->SendHead(GrpcAnswerHead(), false);
    call.is_writing_ = true;
    call.stream_->Write(std::move(message));
    call.CheckWritten();
  });
}

bool WireServerCall::PassNotify() {
  if (loops_.CurrentLoop() == loop_) return false;
  if (is_notify_posted_.exchange(true)) return true;
  loops_.Post(loop_, [self = shared_from_this()] {
    self->is_notify_posted_ = false;
    self->RunStep([](WireServerCall& call) { call.events_->OnNotified(); });
  });
  return true;
}

void WireServerCall::Finish(const absl::Status& status, MetadataList trailing) {
  Run([status, trailing = std::move(trailing)](WireServerCall& call) {
    call.End(status, trailing);
  });
}

void WireServerCall::FinishWith(std::optional<h2::Chunk> message, const absl::Status& status,
                                MetadataList trailing) {
  Run([message = std::move(message), status,
       trailing = std::move(trailing)](WireServerCall& call) mutable {
    if (!message || call.stream_ == nullptr || call.has_answered_) {
      return call.End(status, trailing);
    }
    if (message->size() - h2::kGrpcPrefixBytes > call.message_bytes_max_) {
      return call.End(absl::ResourceExhaustedError("the answer is too large"), {});
    }
    call.has_sent_head_ = true;
    call.stream_->SendHead(GrpcAnswerHead(), false);
    call.stream_->Write(*std::move(message));
    call.End(status, trailing);
  });
}

void WireServerCall::End(const absl::Status& status, const MetadataList& trailing) {
  Answer(status, trailing);
  const auto events = std::move(events_);
  events->OnEnd();
  calls_->Remove(this);
}

void WireServerCall::Abort() {
  Run([](WireServerCall& call) { call.GiveUp(absl::UnavailableError("the server is stopping")); });
}

void WireServerCall::OnData(h2::Chunk data) {
  // What is taken waits for the rest of its message at most.
  stream_->Consume(data.size());
  if (has_answered_ || has_enough_) return;
  reader_.Append(data.view());
  RunStep([](WireServerCall& call) { call.Deliver(); });
}

void WireServerCall::OnEnd(h2::Fields) {
  has_peer_ended_ = true;
  RunStep([](WireServerCall& call) { call.Deliver(); });
}

void WireServerCall::OnSent(std::size_t) {
  if (!is_writing_) return;
  RunStep([](WireServerCall& call) { call.CheckWritten(); });
}

void WireServerCall::OnClosed(h2::ErrorCode) {
  stream_ = nullptr;
  const auto self = std::move(self_);
  RunStep([](WireServerCall& call) {
    if (!call.has_answered_) call.GiveUp(absl::CancelledError("the client is gone"));
  });
}

void WireServerCall::Deliver() {
  if (!is_reading_) return;
  // What the server asks for meanwhile comes after this step, also the end.
  while (!has_answered_) {
    const auto message = reader_.Next();
    if (!message) break;
    if (message->is_compressed) {
      return GiveUp(absl::InternalError("a message is compressed without an encoding"));
    }
    const auto taken = events_->OnBytes(message->bytes);
    if (taken == WireServerEvents::Taken::kMore) continue;
    is_reading_ = false;
    has_enough_ = true;
    if (taken == WireServerEvents::Taken::kUnreadable) {
      GiveUp(absl::InternalError("a message cannot be read"));
    }
    return;
  }
  if (has_answered_) return;
  if (!reader_.error().ok()) return GiveUp(reader_.error());
  if (!has_peer_ended_ || std::exchange(has_told_reads_, true)) return;
  if (!reader_.is_between_messages()) {
    has_told_reads_ = false;
    return GiveUp(absl::InternalError("the last message is incomplete"));
  }
  events_->OnReadsEnded();
}

void WireServerCall::CheckWritten() {
  if (!is_writing_) return;
  if (stream_ != nullptr && stream_->queued() > kWireQueuedMax) return;
  is_writing_ = false;
  events_->OnWritten(stream_ != nullptr);
}

void WireServerCall::Answer(const absl::Status& status, const MetadataList& trailing) {
  if (std::exchange(has_answered_, true)) return;
  if (deadline_ != nullptr) deadline_->Cancel();
  if (stream_ == nullptr) return;
  h2::Fields fields = has_sent_head_ ? h2::Fields() : GrpcAnswerHead();
  AddGrpcStatus(status, fields);
  AddMetadata(trailing, fields);
  if (has_sent_head_) return stream_->End(std::move(fields));
  stream_->SendHead(std::move(fields), /*end=*/true);
}

// Ends the call whatever the server says.
void WireServerCall::GiveUp(const absl::Status& status) {
  if (has_answered_ || std::exchange(is_given_up_, true)) return;
  Answer(status, {});
  if (std::exchange(is_writing_, false)) events_->OnWritten(false);
  events_->OnCancelled();
  if (!std::exchange(has_told_reads_, true)) events_->OnReadsEnded();
}

}  // namespace penstock::rpc
