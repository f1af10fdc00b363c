// The chunked transfer coding of request bodies (RFC 9112, 7.1), read strictly and in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/http/pieces.h"
#include "libs/http/request_head.h"
#include "libs/http/server.h"

namespace penstock::http {

// Decodes one body. What parsers read differently is refused: lines that do not end in CRLF, sizes
// with a sign, prefix or space, extensions and trailers that do not follow the grammar. The verdict
// does not depend on how the bytes are split. Not thread-safe.
class ChunkDecoder {
 public:
  enum class State { kNeedMore, kDone, kRefused };

  // `limits` must outlive the decoder. `body_bytes_max` is of the decoded body; more is 413.
  ChunkDecoder(const ServerLimits& limits, std::size_t body_bytes_max)
      : limits_(&limits), body_bytes_max_(body_bytes_max) {}

  // Takes bytes off the front of `input` and appends what they decode to `body`. After kNeedMore
  // `input` is empty; after kDone it is what follows the body.
  State Decode(std::string_view& input, std::string& body);
  // The same without a copy: what is decoded is added to `pieces` where it stands. Also ends, with
  // kNeedMore, when no piece more fits.
  State Decode(std::string_view& input, Pieces& pieces);

  // After kRefused.
  const Refusal& refusal() const { return refusal_; }

 private:
  enum class Part { kSize, kData, kDataEnd, kTrailer };

  State Refuse(int http_status, std::string message);
  // Moves bytes from `input` to line_ until it holds a whole line or `line_bytes_max` bytes; false
  // when more must come.
  bool TakeLine(std::string_view& input, std::size_t line_bytes_max);
  // Decodes up to the next bytes of the body, which are in `piece` if there are any.
  State Advance(std::string_view& input, std::string_view& piece);
  State ReadSize(std::string_view& input);
  State ReadTrailer(std::string_view& input);

  const ServerLimits* limits_;
  std::size_t body_bytes_max_;
  Part part_ = Part::kSize;
  std::string line_;
  std::uint64_t data_left_ = 0;
  // Of the chunks so far.
  std::uint64_t body_bytes_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
  Refusal refusal_;
};

}  // namespace penstock::http
