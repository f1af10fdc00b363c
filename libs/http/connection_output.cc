// The sending half of a connection: answers, streams, and what the kernel has not taken yet.
#include <algorithm>
#include <array>
#include <utility>

#include "libs/http/connection.h"

namespace penstock::http {
namespace {

// A body at least this long is sent from where it is instead of being copied behind its head.
constexpr std::size_t kCopyMax = 16 * 1024;
// Buffers kept for the next answer are no larger than this.
constexpr std::size_t kKeepMax = 64 * 1024;

int ClassOf(int status) { return std::min(status / 100, 5); }

}  // namespace

void Connection::AppendAnswer(Response response, bool closes) {
  loop_state().responses[ClassOf(response.status)].fetch_add(1, std::memory_order_relaxed);
  const bool has_body = !IsBodiless(response.status) && !reader_.is_head_request();
  ResponseFraming framing;
  if (!IsBodiless(response.status)) framing.content_length = response.body.size();
  framing.closes = closes;
  framing.is_http_1_0 = reader_.is_http_1_0();
  std::string& out = out_tail_.empty() ? out_ : out_tail_;
  AppendResponseHead(out, response.status, response.headers, framing);
  if (has_body && response.body.size() >= kCopyMax && out_tail_.empty()) {
    out_tail_ = std::move(response.body);
  } else if (has_body) {
    out += response.body;
  }
}

void Connection::Answer(std::uint64_t id, Response response) {
  if (!IsCurrent(id, State::kHandling)) return;
  if (!IsSendable(response.status, response.headers)) {
    response = ErrorAnswer(500, "the answer's status or header fields cannot be sent");
  }
  closes_after_answer_ = closes_after_answer_ || context_->draining.load(std::memory_order_relaxed);
  LeaveBodyUnread();
  AppendAnswer(std::move(response), closes_after_answer_);
  FinishExchange();
}

void Connection::AnswerDropped(std::uint64_t id) {
  if (!IsCurrent(id, State::kHandling)) return;
  Answer(id, ErrorAnswer(500, "the request was not answered"));
}

void Connection::StartStream(std::uint64_t id, int status, const Headers& headers) {
  if (!IsCurrent(id, State::kHandling)) return;
  if (!IsSendable(status, headers) || peer_closed_) {
    if (peer_closed_) return Close();
    return Answer(id, ErrorAnswer(500, "the answer's status or header fields cannot be sent"));
  }
  loop_state().responses[ClassOf(status)].fetch_add(1, std::memory_order_relaxed);
  stream_has_body_ = !IsBodiless(status) && !reader_.is_head_request();
  stream_is_chunked_ = !IsBodiless(status) && !reader_.is_http_1_0();
  ends_with_connection_ = stream_has_body_ && !stream_is_chunked_;
  closes_after_answer_ = closes_after_answer_ || ends_with_connection_ || context_->draining;
  ResponseFraming framing;
  framing.is_chunked = stream_is_chunked_;
  framing.closes = closes_after_answer_;
  framing.is_http_1_0 = reader_.is_http_1_0();
  AppendResponseHead(out_, status, headers, framing);
  state_ = State::kStreaming;
  if (!is_processing_) Resume();
}

void Connection::WriteChunk(std::uint64_t id, const std::string& chunk,
                            Exchange::OnWritten on_written,
                            std::shared_ptr<std::atomic<std::size_t>> waiting_bytes) {
  PendingChunk pending{0, chunk.size() + kStreamChunkCost, std::move(on_written),
                       std::move(waiting_bytes)};
  if (!IsCurrent(id, State::kStreaming)) {
    return NotifyWritten(std::move(pending), absl::UnavailableError("the client is gone"));
  }
  if (chunk.empty() || !stream_has_body_) {
    return NotifyWritten(std::move(pending), absl::OkStatus());
  }
  if (stream_is_chunked_) {
    AppendChunk(out_, chunk);
  } else {
    out_ += chunk;
  }
  pending.end = sent_total_ + QueuedBytes();
  pending_chunks_.push_back(std::move(pending));
  if (!is_processing_) Resume();
}

void Connection::EndStream(std::uint64_t id) {
  if (!IsCurrent(id, State::kStreaming)) return;
  if (stream_is_chunked_ && stream_has_body_) out_ += "0\r\n\r\n";
  FinishExchange();
}

void Connection::AbortStream(std::uint64_t id) {
  if (!IsCurrent(id, State::kStreaming)) return;
  on_closed_ = nullptr;
  Close();
}

void Connection::SetOnClosed(std::uint64_t id, absl::AnyInvocable<void()> callback) {
  if (id == lost_exchange_id_) {
    event_loops().Post(loop_, std::move(callback));
  } else if (IsCurrent(id, State::kHandling) || IsCurrent(id, State::kStreaming)) {
    on_closed_ = std::move(callback);
  }
}

void Connection::FinishExchange() {
  on_closed_ = nullptr;
  stream_callbacks_.reset();
  wants_pieces_ = false;
  // The next request would be read into what is still being written elsewhere.
  if (std::exchange(holds_pieces_, false)) closes_after_answer_ = true;
  state_ = closes_after_answer_ ? State::kClosing : State::kReading;
  if (!is_processing_) Resume();
}

// Goes on after output was appended outside Process. No request is handled in here, because the
// caller may be a handler of another one that holds a lock.
void Connection::Resume() {
  Flush();
  // The head of a stream may have been written when the drain had not begun.
  if (state_ == State::kReading && context_->draining.load(std::memory_order_relaxed)) {
    BeginDrain();
  }
  if (state_ == State::kClosed || state_ == State::kLingering) return;
  if (state_ == State::kReading && !is_writing_ && reader_.input().size() > 0) {
    event_loops().Post(loop_, [self = shared_from_this()] {
      if (self->state_ == State::kReading && !self->is_writing_) self->Process();
    });
  } else {
    EnsureRead();
  }
  UpdateDeadline();
}

// Everything that is to be sent, in order.
void Connection::FillGather(std::string_view head, std::string_view tail) {
  gather_.Clear();
  gather_.Add(head);
  gather_.Add(tail);
  gather_.Add(pieces_);
  gather_.Add(pieces_end_);
}

void Connection::Flush() {
  if (is_writing_ || state_ == State::kClosed) return;
  FillGather(out_, out_tail_);
  std::size_t sent = 0;
  while (!gather_.empty()) {
    ErrorCode error;
    const std::size_t size = transport_.TryWrite(gather_.rest(), error);
    gather_.Consume(size);
    sent += size;
    if (error == boost::asio::error::would_block || error == boost::asio::error::try_again) break;
    if (error) return Close();
  }
  if (!gather_.empty()) {
    sending_ = std::exchange(out_, std::string());
    sending_tail_ = std::exchange(out_tail_, std::string());
    // Short strings move with their bytes.
    FillGather(sending_, sending_tail_);
    gather_.Consume(sent);
    is_writing_ = true;
  }
  pieces_.Clear();
  pieces_end_ = {};
  CountSent(sent);
  if (is_writing_) return FlushAsync();
  if (out_.capacity() > kKeepMax) out_ = std::string();
  out_.clear();
  out_tail_ = std::string();
  if (state_ == State::kClosing) BeginLinger();
}

void Connection::FlushAsync() {
  transport_.AsyncWriteSome(gather_.rest(),
                            [self = shared_from_this()](ErrorCode error, std::size_t size) {
                              self->OnWrite(error, size);
                            });
}

void Connection::OnWrite(ErrorCode error, std::size_t size) {
  if (state_ == State::kClosed) return;
  if (error) return Close();
  CountSent(size);
  gather_.Consume(size);
  SetDeadline(SteadyClock::now() + settings_->options.timeouts.write);
  if (!gather_.empty()) return FlushAsync();
  is_writing_ = false;
  if (out_.empty() && sending_.capacity() <= kKeepMax) {
    out_ = std::move(sending_);
    out_.clear();
  }
  sending_ = std::string();
  sending_tail_ = std::string();
  Flush();
  if (state_ == State::kClosed) return;
  if (is_writing_pieces_ && !is_writing_) return OnPiecesWritten();
  if (state_ == State::kReading && !is_writing_) return Process();
  EnsureRead();
  UpdateDeadline();
}

std::uint64_t Connection::QueuedBytes() const {
  return (is_writing_ ? gather_.bytes() : 0) + out_.size() + out_tail_.size();
}

void Connection::CountSent(std::size_t size) {
  loop_state().bytes_sent.fetch_add(size, std::memory_order_relaxed);
  sent_total_ += size;
  while (!pending_chunks_.empty() && pending_chunks_.front().end <= sent_total_) {
    PendingChunk chunk = std::move(pending_chunks_.front());
    pending_chunks_.pop_front();
    NotifyWritten(std::move(chunk), absl::OkStatus());
  }
}

void Connection::NotifyWritten(PendingChunk chunk, const absl::Status& status) {
  chunk.waiting_bytes->fetch_sub(chunk.cost);
  if (!chunk.on_written) return;
  // Posted, so that it never runs inside Write.
  event_loops().Post(
      loop_, [on_written = std::move(chunk.on_written), status]() mutable { on_written(status); });
}

}  // namespace penstock::http
