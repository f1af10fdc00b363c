// The part of a server's connection that hands a request over, and answers it, in pieces.
#include <algorithm>
#include <utility>

#include "libs/http/connection.h"

namespace penstock::http {

void Connection::SetStreamCallbacks(std::uint64_t id, absl::AnyInvocable<void()> on_readable,
                                    absl::AnyInvocable<void()> on_writable) {
  if (!IsUnderWay(id)) return;
  stream_callbacks_ =
      std::make_shared<StreamCallbacks>(std::move(on_readable), std::move(on_writable));
}

Progress Connection::ReadPieces(std::uint64_t id, Pieces& pieces) {
  pieces.Clear();
  if (!IsUnderWay(id)) return Progress::kFailed;
  holds_pieces_ = false;
  RequestReader::Event event = reader_.ReadPieces(pieces);
  if (event == RequestReader::Event::kContinue) {
    if (state_ == State::kHandling) {
      out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      if (!is_processing_) Flush();
      if (!IsUnderWay(id)) return Progress::kFailed;
    }
    event = reader_.ReadPieces(pieces);
  }
  if (event == RequestReader::Event::kRefused) {
    RefuseBody(reader_.refusal());
    return Progress::kFailed;
  }
  if (is_tunnel_ && peer_closed_ && pieces.empty()) pieces.is_last = true;
  if (!pieces.empty()) {
    holds_pieces_ = pieces.bytes > 0;
    return Progress::kDone;
  }
  wants_pieces_ = true;
  EnsureRead();
  UpdateDeadline();
  return Progress::kPending;
}

void Connection::ReleasePieces(std::uint64_t id) {
  if (!IsUnderWay(id)) return;
  holds_pieces_ = false;
  EnsureRead();
}

void Connection::OnReadable() {
  if (!std::exchange(wants_pieces_, false)) return;
  UpdateDeadline();
  // The callback may end the exchange.
  if (const auto callbacks = stream_callbacks_) callbacks->on_readable();
}

// The handler learns that the client is gone; a client that is not gets to know why.
void Connection::RefuseBody(const Refusal& refusal) {
  wants_pieces_ = false;
  if (state_ != State::kHandling) return Close();
  NotifyClosed();
  stream_callbacks_.reset();
  Refuse(refusal);
  if (!is_processing_) Resume();
}

// The answer comes before the end of the request's body: what is left of that is dropped with the
// connection.
void Connection::LeaveBodyUnread() {
  if (!is_stream_ || !reader_.is_in_body()) return;
  closes_after_answer_ = true;
  must_linger_ = true;
}

void Connection::StartPieces(std::uint64_t id, const StreamHead& head) {
  if (!IsCurrent(id, State::kHandling)) return;
  if (peer_closed_) return Close();
  loop_state().responses[std::min(head.status / 100, 5)].fetch_add(1, std::memory_order_relaxed);
  stream_has_body_ = !IsBodiless(head.status) && !reader_.is_head_request();
  const bool has_length = head.content_length.has_value();
  stream_is_chunked_ = stream_has_body_ && !has_length && !reader_.is_http_1_0();
  ends_with_connection_ = stream_has_body_ && !has_length && !stream_is_chunked_;
  closes_after_answer_ = closes_after_answer_ || ends_with_connection_ ||
                         context_->draining.load(std::memory_order_relaxed);
  LeaveBodyUnread();
  ResponseFraming framing;
  framing.content_length = head.content_length;
  framing.is_chunked = stream_is_chunked_;
  framing.closes = closes_after_answer_;
  framing.is_http_1_0 = reader_.is_http_1_0();
  framing.keeps_date = true;
  AppendResponseHead(out_, head.status, head.headers, framing);
  state_ = State::kStreaming;
}

void Connection::StartTunnel(std::uint64_t id, const Headers& headers) {
  if (!IsCurrent(id, State::kHandling)) return;
  loop_state().responses[1].fetch_add(1, std::memory_order_relaxed);
  AppendTunnelHead(out_, headers);
  is_tunnel_ = true;
  stream_has_body_ = true;
  stream_is_chunked_ = false;
  closes_after_answer_ = true;
  reader_.BeginTunnel();
  state_ = State::kStreaming;
}

Progress Connection::WritePieces(std::uint64_t id, const Pieces& pieces) {
  if (!IsCurrent(id, State::kStreaming)) return Progress::kFailed;
  if (stream_has_body_ && pieces.bytes > 0) {
    pieces_ = pieces;
    if (stream_is_chunked_) {
      AppendChunkSize(out_, pieces.bytes);
      pieces_end_ = pieces.is_last ? "\r\n0\r\n\r\n" : "\r\n";
    }
  } else if (stream_is_chunked_ && pieces.is_last) {
    out_ += "0\r\n\r\n";
  }
  has_last_piece_ = pieces.is_last;
  is_writing_pieces_ = true;
  Flush();
  if (state_ != State::kStreaming) return Progress::kFailed;
  if (is_writing_) {
    UpdateDeadline();
    return Progress::kPending;
  }
  is_writing_pieces_ = false;
  if (has_last_piece_ && !is_tunnel_) FinishExchange();
  if (has_last_piece_ && is_tunnel_) ShutDownSending();
  return Progress::kDone;
}

// The rest of what WritePieces left pending.
void Connection::OnPiecesWritten() {
  is_writing_pieces_ = false;
  const auto callbacks = stream_callbacks_;
  if (has_last_piece_ && !is_tunnel_) {
    FinishExchange();
  } else {
    if (has_last_piece_) ShutDownSending();
    EnsureRead();
    UpdateDeadline();
  }
  if (callbacks != nullptr) callbacks->on_writable();
}

void Connection::ShutDownSending() {
  ErrorCode ignored;
  transport_.socket().shutdown(Transport::Socket::shutdown_send, ignored);
}

void Connection::Abort(std::uint64_t id) {
  if (!IsUnderWay(id)) return;
  on_closed_ = nullptr;
  Close();
}

}  // namespace penstock::http
