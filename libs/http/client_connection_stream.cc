// The part of a client's connection that sends a request, and takes its answer, in pieces.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client_connection.h"

namespace penstock::http {
namespace {

// What is offered to reads of a long body, at most.
constexpr std::size_t kStreamReadMax = 64 * 1024;

}  // namespace

void ClientConnection::BuildStreamHead(const ClientStreamRequest& request) {
  head_.clear();
  head_.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  for (const Headers::Field field : request.headers) {
    head_.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (request.content_length.has_value()) {
    const fmt::format_int length(*request.content_length);
    head_.append("Content-Length: ").append(length.data(), length.size()).append("\r\n");
  } else if (request.is_chunked) {
    head_ += "Transfer-Encoding: chunked\r\n";
  }
  head_ += "\r\n";
}

Progress ClientConnection::WritePieces(const Pieces& pieces) {
  if (state_ != State::kBusy) return Progress::kFailed;
  const bool in_chunks = call_->stream->request().is_chunked;
  // The head goes out with the first pieces.
  if (written_ > 0) head_.clear();
  written_ = 1;
  if (in_chunks && pieces.bytes > 0) {
    fmt::format_to(std::back_inserter(head_), "{:x}\r\n", pieces.bytes);
  }
  gather_.Clear();
  gather_.Add(head_);
  gather_.Add(pieces);
  if (in_chunks && pieces.bytes > 0) {
    gather_.Add(pieces.is_last ? "\r\n0\r\n\r\n" : "\r\n");
  } else if (in_chunks && pieces.is_last) {
    gather_.Add("0\r\n\r\n");
  }
  has_last_piece_ = pieces.is_last;
  return WriteGathered();
}

Progress ClientConnection::WriteGathered() {
  while (!gather_.empty()) {
    ErrorCode error;
    gather_.Consume(transport_.TryWrite(gather_.rest(), error));
    if (error == boost::asio::error::would_block || error == boost::asio::error::try_again) {
      is_writing_pieces_ = true;
      UpdateStreamDeadline();
      transport_.AsyncWriteSome(gather_.rest(), [self = shared_from_this(), call = call_](
                                                    ErrorCode result, std::size_t size) {
        if (self->state_ == State::kBusy && self->call_ == call) {
          self->OnGatheredWritten(result, size);
        }
      });
      return Progress::kPending;
    }
    // What was read, or is to be read, tells what became of the connection; an answer may be there
    // already. What is left of the request is of no use.
    if (error) return Progress::kFailed;
  }
  is_write_done_ = has_last_piece_;
  if (is_write_done_ && has_response_head_ && reader_.is_tunnel()) {
    ErrorCode ignored;
    transport_.socket().shutdown(Transport::Socket::shutdown_send, ignored);
  }
  UpdateStreamDeadline();
  return Progress::kDone;
}

void ClientConnection::OnGatheredWritten(ErrorCode error, std::size_t size) {
  is_writing_pieces_ = false;
  gather_.Consume(size);
  const Progress progress = error ? Progress::kFailed : WriteGathered();
  if (progress == Progress::kPending) return;
  if (progress == Progress::kFailed) {
    UpdateStreamDeadline();
    // The server of a tunnel may have ended its half before: nothing else would tell.
    if (!has_response_head_ || !reader_.is_tunnel()) return;
  }
  const std::shared_ptr<ClientStream> stream = call_->stream;
  if (const auto events = stream->events_) events->OnWritable();
}

void ClientConnection::OnStreamHead() {
  has_response_head_ = true;
  ClientResponse response = reader_.TakeResponse();
  ClientStreamHead head{.status = response.status,
                        .headers = std::move(response.headers),
                        .content_length = reader_.content_length(),
                        .is_tunnel = reader_.is_tunnel()};
  UpdateStreamDeadline();
  const std::shared_ptr<ClientStream> stream = call_->stream;
  stream->OnHead(std::move(head));
}

Progress ClientConnection::ReadPieces(Pieces& pieces) {
  pieces.Clear();
  if (state_ != State::kBusy) return Progress::kFailed;
  const ResponseReader::Event event = reader_.ReadPieces(pieces);
  if (event == ResponseReader::Event::kMalformed) {
    OnEvent(event);
    return Progress::kFailed;
  }
  wants_pieces_ = pieces.empty();
  UpdateStreamDeadline();
  if (!wants_pieces_) return Progress::kDone;
  // Whoever asks again while it waits gets what the same read brings: the buffer has room for one.
  if (!is_reading_) Read();
  return Progress::kPending;
}

void ClientConnection::OnStreamRead(ErrorCode error) {
  const bool is_end = error == boost::asio::error::eof;
  has_tunnel_ended_ = is_end && reader_.is_tunnel();
  // A truncated TLS stream must not pass for the end of a body without declared length.
  if (error && (!is_end || reader_.OnEnd() != ResponseReader::Event::kResponse)) {
    return OnLost(is_end || error == boost::asio::ssl::error::stream_truncated
                      ? "closed before the end of the answer"
                      : error.message());
  }
  // A read that was filled is followed by a larger one.
  if (reader_.input().size() >= stream_read_size_) {
    stream_read_size_ = std::min(stream_read_size_ * 4, kStreamReadMax);
  }
  wants_pieces_ = false;
  const std::shared_ptr<ClientStream> stream = call_->stream;
  if (const auto events = stream->events_) events->OnReadable();
}

void ClientConnection::FinishStream() {
  const std::shared_ptr<ClientCall> call = std::exchange(call_, nullptr);
  if (call == nullptr) return;
  BecomeIdle();
  call->Drop();
}

// Time runs only while the server has to do something: take bytes, answer, or send more.
void ClientConnection::UpdateStreamDeadline() {
  if (state_ != State::kBusy) return;
  const ClientStreamRequest& request = call_->stream->request();
  const auto now = SteadyClock::now();
  if (is_writing_pieces_ || wants_pieces_) {
    SetDeadline(now + request.idle_timeout);
  } else if (is_write_done_ && !has_response_head_) {
    SetDeadline(now + request.response_timeout);
  } else if (has_tunnel_ended_) {
    // One half of it is left, and nobody may use that any more.
    SetDeadline(now + request.idle_timeout);
  } else {
    deadline_ = SteadyClock::time_point::max();
  }
}

void ClientConnection::OnStreamTimeout() {
  const ClientStreamRequest& request = call_->stream->request();
  const bool is_idle = is_writing_pieces_ || has_response_head_;
  const auto limit = is_idle ? request.idle_timeout : request.response_timeout;
  const char* what = !is_idle             ? "did not answer"
                     : is_writing_pieces_ ? "took no byte of the request"
                                          : "sent no byte of the answer";
  Abandon(WithReason(absl::DeadlineExceededError(
                         fmt::format("{} {} within {} ms", url_.Authority(), what, limit.count())),
                     kResponseTimeout));
}

}  // namespace penstock::http
