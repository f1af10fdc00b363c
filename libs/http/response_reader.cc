#include "libs/http/response_reader.h"

#include <algorithm>
#include <utility>

#include "libs/http/grammar.h"

namespace penstock::http {
namespace {

constexpr int kInterimResponsesMax = 8;
constexpr std::size_t kBodyReserveMax = 256 * 1024;
// " 200" behind the version.
constexpr std::size_t kStatusEnd = 12;

const ServerLimits& Limits() {
  static const ServerLimits limits{.header_bytes_max = 64 * 1024,
                                   .header_fields_max = 500,
                                   .chunk_extension_bytes_max = 64 * 1024};
  return limits;
}

// Nothing when `text` is no number; a number beyond 64 bits counts as the greatest.
std::optional<std::uint64_t> ParseLength(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
  }
  return number;
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

void ResponseReader::Reset(bool is_head_request, std::size_t body_bytes_max) {
  is_head_request_ = is_head_request;
  body_bytes_max_ = body_bytes_max;
  interim_responses_ = 0;
  is_streamed_ = may_upgrade_ = false;
  BeginHead();
}

void ResponseReader::ResetForStream(bool is_head_request, bool may_upgrade) {
  Reset(is_head_request, kUnlimited);
  is_streamed_ = true;
  may_upgrade_ = may_upgrade;
}

void ResponseReader::BeginHead() {
  part_ = Part::kStatusLine;
  response_ = ClientResponse();
  content_length_.reset();
  is_chunked_ = has_close_ = has_keep_alive_ = is_http_1_0_ = false;
  scanned_ = head_bytes_ = 0;
  chunks_.reset();
}

ResponseReader::Event ResponseReader::Fail(std::string error) {
  error_ = std::move(error);
  return Event::kMalformed;
}

std::optional<std::string_view> ResponseReader::TakeLine() {
  const std::string_view input = input_.view();
  const std::size_t newline = input.find('\n', scanned_);
  const std::size_t size = std::min(newline, input.size());
  if (head_bytes_ + size >= Limits().header_bytes_max) {
    error_ = "the header is too long";
    return std::nullopt;
  }
  if (newline == std::string_view::npos) {
    scanned_ = input.size();
    return std::nullopt;
  }
  const std::string_view line = input.substr(0, size);
  if (line.empty() || line.find('\r') != line.size() - 1) {
    error_ = "a line of the header does not end in CRLF";
    return std::nullopt;
  }
  scanned_ = 0;
  head_bytes_ += size + 1;
  // The bytes stay where they are until the buffer is filled again.
  input_.Consume(size + 1);
  return line.substr(0, size - 1);
}

bool ResponseReader::ReadStatusLine(std::string_view line) {
  const bool is_good =
      line.size() >= kStatusEnd &&
      (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) && line[9] >= '1' &&
      line[9] <= '9' && line[10] >= '0' && line[10] <= '9' && line[11] >= '0' && line[11] <= '9' &&
      (line.size() == kStatusEnd || line[kStatusEnd] == ' ') && !HasControlByte(line);
  if (!is_good) {
    error_ = "expected a status line of HTTP/1.1 or HTTP/1.0";
    return false;
  }
  is_http_1_0_ = line[7] == '0';
  response_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  return true;
}

bool ResponseReader::ReadContentLength(std::string_view list) {
  do {
    const std::size_t comma = std::min(list.find(','), list.size());
    const auto length = ParseLength(TrimSpace(list.substr(0, comma)));
    if (!length.has_value() || content_length_.value_or(*length) != *length) return false;
    content_length_ = length;
    list.remove_prefix(std::min(comma + 1, list.size()));
  } while (!list.empty());
  return true;
}

bool ResponseReader::ReadField(std::string_view line) {
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpace(line.substr(std::min(colon + 1, line.size())));
  if (colon == line.size() || !IsValidHeader(name, value)) {
    error_ = "a line of the header is no field";
    return false;
  }
  if (response_.headers.size() >= Limits().header_fields_max) {
    error_ = "the header has too many fields";
    return false;
  }
  response_.headers.Add(name, value);
  if (EqualsIgnoreCase(name, "content-length")) {
    if (ReadContentLength(value)) return true;
    error_ = "Content-Length is not one number";
    return false;
  }
  if (EqualsIgnoreCase(name, "transfer-encoding")) {
    if (!is_chunked_ && EqualsIgnoreCase(value, "chunked")) return is_chunked_ = true;
    error_ = "Transfer-Encoding is not exactly chunked";
    return false;
  }
  if (EqualsIgnoreCase(name, "connection")) {
    has_close_ = has_close_ || ListsToken(value, "close");
    has_keep_alive_ = has_keep_alive_ || ListsToken(value, "keep-alive");
  }
  return true;
}

ResponseReader::Part ResponseReader::PartBehindHead() {
  if (response_.status == 101) return Part::kToTheEnd;
  if (is_head_request_ || HasNoBody(response_.status)) return Part::kNothing;
  if (is_chunked_) return Part::kChunks;
  if (!content_length_.has_value()) return Part::kToTheEnd;
  return *content_length_ > 0 ? Part::kLength : Part::kNothing;
}

ResponseReader::Event ResponseReader::EndHead() {
  response_status_ = response_.status;
  const bool is_tunnel = response_status_ == 101 && may_upgrade_;
  if (response_status_ == 101 && !is_tunnel) return Fail("the server switched protocols unasked");
  if (response_status_ < 200 && !is_tunnel) {
    if (++interim_responses_ > kInterimResponsesMax) return Fail("too many 1xx responses");
    BeginHead();
    return Event::kNeedMore;
  }
  if (is_chunked_ && (content_length_.has_value() || is_http_1_0_)) {
    return Fail("Transfer-Encoding does not go with Content-Length, or with HTTP/1.0");
  }
  part_ = PartBehindHead();
  keep_alive_ = !has_close_ && (!is_http_1_0_ || has_keep_alive_) && part_ != Part::kToTheEnd;
  if (part_ == Part::kChunks) chunks_.emplace(Limits(), body_bytes_max_);
  if (part_ == Part::kLength) body_left_ = *content_length_;
  if (is_streamed_) return Event::kHead;
  if (part_ == Part::kNothing) return Event::kResponse;
  if (part_ == Part::kLength) {
    if (body_left_ > body_bytes_max_) return Event::kTooLarge;
    response_.body.reserve(std::min<std::uint64_t>(body_left_, kBodyReserveMax));
  }
  return Event::kNeedMore;
}

ResponseReader::Event ResponseReader::ReadBody() {
  std::string_view rest = input_.view();
  if (part_ == Part::kChunks) {
    const ChunkDecoder::State state = chunks_->Decode(rest, response_.body);
    input_.Consume(input_.size() - rest.size());
    if (state == ChunkDecoder::State::kNeedMore) return Event::kNeedMore;
    if (state == ChunkDecoder::State::kDone) return Event::kResponse;
    const bool is_too_large = chunks_->refusal().http_status == 413;
    return is_too_large ? Event::kTooLarge : Fail(chunks_->refusal().message);
  }
  if (part_ == Part::kLength)
    rest = rest.substr(0, std::min<std::uint64_t>(body_left_, rest.size()));
  if (rest.size() > body_bytes_max_ - response_.body.size()) return Event::kTooLarge;
  response_.body.append(rest);
  body_left_ -= part_ == Part::kLength ? rest.size() : 0;
  input_.Consume(rest.size());
  return part_ == Part::kLength && body_left_ == 0 ? Event::kResponse : Event::kNeedMore;
}

ResponseReader::Event ResponseReader::ReadPieces(Pieces& pieces) {
  std::string_view rest = input_.view();
  switch (part_) {
    case Part::kChunks:
      switch (chunks_->Decode(rest, pieces)) {
        case ChunkDecoder::State::kNeedMore: break;
        case ChunkDecoder::State::kDone: part_ = Part::kNothing; break;
        case ChunkDecoder::State::kRefused: return Fail(chunks_->refusal().message);
      }
      break;
    case Part::kLength: {
      const std::size_t size = std::min<std::uint64_t>(body_left_, rest.size());
      pieces.Add(rest.substr(0, size));
      rest.remove_prefix(size);
      body_left_ -= size;
      if (body_left_ == 0) part_ = Part::kNothing;
      break;
    }
    case Part::kToTheEnd:
      pieces.Add(rest);
      rest = {};
      break;
    default: break;
  }
  input_.Consume(input_.size() - rest.size());
  pieces.is_last = part_ == Part::kNothing;
  return pieces.is_last ? Event::kResponse : Event::kNeedMore;
}

ResponseReader::Event ResponseReader::Next() {
  while (input_.size() > 0) {
    if (part_ != Part::kStatusLine && part_ != Part::kFields) return ReadBody();
    error_.clear();
    const std::optional<std::string_view> line = TakeLine();
    if (!line.has_value()) return error_.empty() ? Event::kNeedMore : Event::kMalformed;
    if (part_ == Part::kStatusLine) {
      if (!ReadStatusLine(*line)) return Event::kMalformed;
      part_ = Part::kFields;
    } else if (!line->empty()) {
      if (!ReadField(*line)) return Event::kMalformed;
    } else if (const Event event = EndHead(); event != Event::kNeedMore) {
      return event;
    }
  }
  return Event::kNeedMore;
}

ResponseReader::Event ResponseReader::OnEnd() {
  if (part_ != Part::kToTheEnd) return Fail("the connection closed before the response's end");
  keep_alive_ = false;
  part_ = Part::kNothing;
  return Event::kResponse;
}

}  // namespace penstock::http
