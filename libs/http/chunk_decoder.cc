#include "libs/http/chunk_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/percent.h"
#include "libs/http/grammar.h"
#include "libs/http/message.h"

namespace penstock::http {
namespace {

// As many as 64 bits have.
constexpr std::size_t kSizeDigitsMax = 16;
constexpr std::size_t kLineEnd = 2;

void SkipSpace(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

bool TakeToken(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && IsTokenByte(text[size])) ++size;
  text.remove_prefix(size);
  return size > 0;
}

// The rest of a quoted string behind its first quote.
bool TakeQuoted(std::string_view& text) {
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\') text.remove_prefix(1);
    if (text.empty() || IsControlByte(text.front())) return false;
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  text.remove_prefix(1);
  return true;
}

// *( BWS ";" BWS name [ BWS "=" BWS value ] ), and nothing behind it.
bool AreExtensions(std::string_view text) {
  while (!text.empty()) {
    SkipSpace(text);
    if (text.empty() || text.front() != ';') return false;
    text.remove_prefix(1);
    SkipSpace(text);
    if (!TakeToken(text)) return false;
    std::string_view value = text;
    SkipSpace(value);
    if (value.empty() || value.front() != '=') continue;
    text = value.substr(1);
    SkipSpace(text);
    if (!text.empty() && text.front() == '"') {
      text.remove_prefix(1);
      if (!TakeQuoted(text)) return false;
    } else if (!TakeToken(text)) {
      return false;
    }
  }
  return true;
}

// Fields that say how a message is framed or routed come too late behind its body.
bool IsBarredFromTrailer(std::string_view name) {
  return EqualsIgnoreCase(name, "content-length") || EqualsIgnoreCase(name, "transfer-encoding") ||
         EqualsIgnoreCase(name, "host");
}

}  // namespace

ChunkDecoder::State ChunkDecoder::Refuse(int http_status, std::string message) {
  refusal_ = {http_status, std::move(message)};
  return State::kRefused;
}

bool ChunkDecoder::TakeLine(std::string_view& input, std::size_t line_bytes_max) {
  const std::size_t newline = input.find('\n');
  const std::size_t available = newline == std::string_view::npos ? input.size() : newline + 1;
  const std::size_t size = std::min(available, line_bytes_max - line_.size());
  line_.append(input.substr(0, size));
  input.remove_prefix(size);
  return line_.size() == line_bytes_max || line_.ends_with('\n');
}

ChunkDecoder::State ChunkDecoder::ReadSize(std::string_view& input) {
  const std::size_t extension_bytes_left = limits_->chunk_extension_bytes_max - extension_bytes_;
  const std::size_t line_bytes_max = kSizeDigitsMax + extension_bytes_left + kLineEnd;
  const bool is_whole = TakeLine(input, line_bytes_max);
  if (HexValue(line_.front()) < 0) {
    return Refuse(400, "body: expected a chunk size in hexadecimal digits");
  }
  if (!is_whole) return State::kNeedMore;
  const std::string_view line = line_;
  std::size_t digits = 0;
  std::uint64_t size = 0;
  while (digits < line.size() && HexValue(line[digits]) >= 0) {
    if (digits == kSizeDigitsMax) return Refuse(400, "body: a chunk size has more than 16 digits");
    size = size * 16 + static_cast<std::uint64_t>(HexValue(line[digits++]));
  }
  const auto refuse_extensions = [this] {
    return Refuse(400, fmt::format("body: the chunk extensions are longer than {} bytes",
                                   limits_->chunk_extension_bytes_max));
  };
  if (!line.ends_with("\n")) return refuse_extensions();
  if (!line.ends_with("\r\n")) return Refuse(400, "body: a chunk size must end in CRLF");
  const std::string_view extensions = line.substr(digits, line.size() - digits - kLineEnd);
  if (!AreExtensions(extensions)) {
    return Refuse(400, "body: expected CRLF or \";name=value\" behind a chunk size");
  }
  if (extensions.size() > extension_bytes_left) return refuse_extensions();
  extension_bytes_ += extensions.size();
  if (size > body_bytes_max_ - body_bytes_) {
    return Refuse(413, fmt::format("body: longer than {} bytes", body_bytes_max_));
  }
  body_bytes_ += size;
  line_.clear();
  data_left_ = size;
  part_ = size == 0 ? Part::kTrailer : Part::kData;
  return State::kNeedMore;
}

ChunkDecoder::State ChunkDecoder::ReadTrailer(std::string_view& input) {
  const std::size_t line_bytes_max = limits_->header_bytes_max - trailer_bytes_ + kLineEnd;
  if (!TakeLine(input, line_bytes_max)) return State::kNeedMore;
  std::string_view line = line_;
  if (!line.ends_with("\n")) {
    return Refuse(431, fmt::format("trailer: longer than {} bytes", limits_->header_bytes_max));
  }
  if (!line.ends_with("\r\n")) return Refuse(400, "trailer: lines must end in CRLF");
  line.remove_suffix(kLineEnd);
  if (line.empty()) return State::kDone;
  if (++trailer_fields_ > limits_->header_fields_max) {
    return Refuse(431, fmt::format("trailer: more than {} fields", limits_->header_fields_max));
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Refuse(400, "trailer: a field has no ':'");
  const std::string_view name = line.substr(0, colon);
  if (!IsValidHeader(name, line.substr(colon + 1))) {
    return Refuse(400, "trailer: a field's name is no token, or its value holds a control byte");
  }
  if (IsBarredFromTrailer(name)) {
    return Refuse(400, "trailer: Content-Length, Transfer-Encoding and Host belong in the header");
  }
  trailer_bytes_ = std::min(trailer_bytes_ + line_.size(), limits_->header_bytes_max);
  line_.clear();
  return State::kNeedMore;
}

ChunkDecoder::State ChunkDecoder::Advance(std::string_view& input, std::string_view& piece) {
  while (!input.empty()) {
    switch (part_) {
      case Part::kSize:
        if (ReadSize(input) == State::kRefused) return State::kRefused;
        break;
      case Part::kData: {
        piece = input.substr(0, std::min<std::uint64_t>(data_left_, input.size()));
        input.remove_prefix(piece.size());
        data_left_ -= piece.size();
        if (data_left_ == 0) part_ = Part::kDataEnd;
        return State::kNeedMore;
      }
      case Part::kDataEnd:
        line_ += input.front();
        input.remove_prefix(1);
        if (line_ != std::string_view("\r\n").substr(0, line_.size())) {
          return Refuse(400, "body: expected CRLF behind the bytes of a chunk");
        }
        if (line_.size() < kLineEnd) break;
        line_.clear();
        part_ = Part::kSize;
        break;
      case Part::kTrailer:
        if (const State state = ReadTrailer(input); state != State::kNeedMore) return state;
        break;
    }
  }
  return State::kNeedMore;
}

ChunkDecoder::State ChunkDecoder::Decode(std::string_view& input, std::string& body) {
  State state = State::kNeedMore;
  while (state == State::kNeedMore && !input.empty()) {
    std::string_view piece;
    state = Advance(input, piece);
    body.append(piece);
  }
  return state;
}

ChunkDecoder::State ChunkDecoder::Decode(std::string_view& input, Pieces& pieces) {
  State state = State::kNeedMore;
  while (state == State::kNeedMore && !input.empty() && !pieces.is_full()) {
    std::string_view piece;
    state = Advance(input, piece);
    pieces.Add(piece);
  }
  return state;
}

}  // namespace penstock::http
