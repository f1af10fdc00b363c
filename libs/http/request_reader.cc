#include "libs/http/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::http {
namespace {

// A declared length is believed up to here; more memory is taken only as bytes arrive.
constexpr std::size_t kBodyReserveMax = 256 * 1024;

}  // namespace

RequestReader::RequestReader(const ServerOptions& options, Request peer)
    : options_(options), peer_(std::move(peer)), scanner_(options.limits) {}

RequestReader::Phase RequestReader::phase() const {
  if (in_body_) return Phase::kBody;
  return input_.size() > 0 ? Phase::kHead : Phase::kIdle;
}

RequestReader::Event RequestReader::Next() { return in_body_ ? ReadBody() : ReadHead(); }

RequestReader::Event RequestReader::Refuse(Refusal refusal) {
  refusal_ = std::move(refusal);
  return Event::kRefused;
}

RequestReader::Event RequestReader::ReadHead() {
  if (!skipped_empty_line_ && input_.size() > 0 && input_.view().front() == '\r') {
    if (input_.size() == 1) return Event::kNeedMore;
    if (input_.view()[1] == '\n') input_.Consume(2);
    skipped_empty_line_ = true;
  }
  // A refusal of a HEAD request has no body either, and one of what follows it does.
  is_head_request_ = input_.view().starts_with("HEAD ");
  switch (scanner_.Scan(input_.view())) {
    case HeadScanner::State::kIncomplete: return Event::kNeedMore;
    case HeadScanner::State::kRefused: return Refuse(scanner_.refusal());
    case HeadScanner::State::kComplete: break;
  }
  input_.Consume(scanner_.head_size());
  RequestHead head = std::move(scanner_.head());
  scanner_.Reset();
  skipped_empty_line_ = false;
  request_ = peer_;
  request_.method = std::move(head.method);
  request_.target = std::move(head.target);
  request_.headers = std::move(head.headers);
  request_.is_http_1_0 = head.is_http_1_0;
  is_http_1_0_ = head.is_http_1_0;
  keep_alive_ = head.keep_alive;
  if (options_.stream_handler_of) stream_handler_ = options_.stream_handler_of(request_);
  if (stream_handler_) {
    if (head.has_body()) BeginBody(head, kUnlimited);
    return Event::kStream;
  }
  if (!head.has_body()) return Event::kRequest;
  const std::size_t body_bytes_max = options_.body_bytes_max_of
                                         ? options_.body_bytes_max_of(request_)
                                         : options_.limits.body_bytes_max;
  if (head.content_length > body_bytes_max) {
    in_body_ = true;
    return Refuse({413, fmt::format("body: longer than {} bytes", body_bytes_max)});
  }
  BeginBody(head, body_bytes_max);
  request_.body.reserve(std::min<std::uint64_t>(body_left_, kBodyReserveMax));
  if (std::exchange(awaits_continue_, false)) return Event::kContinue;
  return ReadBody();
}

void RequestReader::BeginBody(const RequestHead& head, std::size_t body_bytes_max) {
  in_body_ = true;
  body_left_ = head.content_length;
  chunks_.reset();
  if (head.is_chunked) chunks_.emplace(options_.limits, body_bytes_max);
  awaits_continue_ = head.expects_continue && input_.size() == 0;
}

RequestReader::Event RequestReader::ReadPieces(Pieces& pieces) {
  std::string_view rest = input_.view();
  if (is_tunnel_) {
    pieces.Add(rest);
    input_.Consume(rest.size());
    return Event::kNeedMore;
  }
  if (std::exchange(awaits_continue_, false)) return Event::kContinue;
  if (in_body_ && chunks_.has_value()) {
    const ChunkDecoder::State state = chunks_->Decode(rest, pieces);
    if (state == ChunkDecoder::State::kRefused) return Refuse(chunks_->refusal());
    in_body_ = state != ChunkDecoder::State::kDone;
  } else if (in_body_) {
    const std::size_t size = std::min<std::uint64_t>(body_left_, rest.size());
    pieces.Add(rest.substr(0, size));
    rest.remove_prefix(size);
    body_left_ -= size;
    in_body_ = body_left_ > 0;
  }
  input_.Consume(input_.size() - rest.size());
  pieces.is_last = !in_body_;
  return pieces.is_last ? Event::kRequest : Event::kNeedMore;
}

RequestReader::Event RequestReader::ReadBody() {
  if (chunks_.has_value()) return ReadChunks();
  const std::size_t size = std::min<std::uint64_t>(body_left_, input_.size());
  request_.body.append(input_.view().substr(0, size));
  input_.Consume(size);
  body_left_ -= size;
  if (body_left_ > 0) return Event::kNeedMore;
  in_body_ = false;
  return Event::kRequest;
}

RequestReader::Event RequestReader::ReadChunks() {
  std::string_view rest = input_.view();
  const ChunkDecoder::State state = chunks_->Decode(rest, request_.body);
  input_.Consume(input_.size() - rest.size());
  switch (state) {
    case ChunkDecoder::State::kNeedMore: return Event::kNeedMore;
    case ChunkDecoder::State::kRefused: return Refuse(chunks_->refusal());
    case ChunkDecoder::State::kDone: break;
  }
  in_body_ = false;
  return Event::kRequest;
}

}  // namespace penstock::http
