// Turns the bytes of a client's connection into responses. Knows no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "libs/http/chunk_decoder.h"
#include "libs/http/client.h"
#include "libs/http/input_buffer.h"

namespace penstock::http {

// Reads one response after the other, after RFC 9112. How a body is framed must be beyond doubt:
// one length, or one that is repeated as it is (6.3); no coding but chunked; not both. Limits: 64
// KiB and 500 fields of head, and again of a trailer, which is dropped; 64 KiB of chunk extensions.
// The verdict does not depend on how the bytes are split. Not thread-safe.
class ResponseReader {
 public:
  enum class Event {
    kNeedMore,
    kHead,       // Of a streamed response: TakeResponse, then ReadPieces.
    kResponse,   // A whole response: TakeResponse. A streamed one is over.
    kTooLarge,   // The body is longer than allowed; nothing more can be read.
    kMalformed,  // error() says why; nothing more can be read.
  };

  // Starts over. A response to a HEAD request has no body whatever its head says.
  void Reset(bool is_head_request, std::size_t body_bytes_max);
  // Starts over for a response whose body is taken in pieces. With `may_upgrade`, 101 is an answer
  // whose body is what comes behind it, to the end.
  void ResetForStream(bool is_head_request, bool may_upgrade);

  InputBuffer& input() { return input_; }
  // Parses what is in input(). Interim (1xx) responses are skipped.
  Event Next();
  // After kHead: adds what input() has of the body to `pieces`, and says when these are the last.
  // kNeedMore, kResponse or kMalformed.
  Event ReadPieces(Pieces& pieces);
  // The server closed its side: the end of a body without declared length, else an error.
  Event OnEnd();

  // After kResponse, once; remote_address is left empty.
  ClientResponse TakeResponse() { return std::move(response_); }
  // After kResponse: whether the connection can serve another request.
  bool keep_alive() const { return keep_alive_; }
  // After kHead: the length that the head declares, which a response to HEAD may do too, and
  // whether it is an answer to an upgrade.
  std::optional<std::uint64_t> content_length() const { return content_length_; }
  bool is_tunnel() const { return part_ == Part::kToTheEnd && response_status_ == 101; }
  const std::string& error() const { return error_; }

 private:
  enum class Part { kStatusLine, kFields, kLength, kChunks, kToTheEnd, kNothing };

  void BeginHead();
  // The next line without its CRLF; nothing when more must come or error_ says what is wrong.
  std::optional<std::string_view> TakeLine();
  bool ReadStatusLine(std::string_view line);
  bool ReadField(std::string_view line);
  bool ReadContentLength(std::string_view list);
  Event EndHead();
  // What follows the head of a final response.
  Part PartBehindHead();
  Event ReadBody();
  Event Fail(std::string error);

  InputBuffer input_;
  Part part_ = Part::kStatusLine;
  ClientResponse response_;
  std::optional<std::uint64_t> content_length_;
  bool is_chunked_ = false;
  bool has_close_ = false;
  bool has_keep_alive_ = false;
  bool is_http_1_0_ = false;
  // How far the present line was looked at, and the bytes of the head before it.
  std::size_t scanned_ = 0;
  std::size_t head_bytes_ = 0;
  std::optional<ChunkDecoder> chunks_;
  std::uint64_t body_left_ = 0;
  bool is_head_request_ = false;
  std::size_t body_bytes_max_ = 0;
  bool is_streamed_ = false;
  bool may_upgrade_ = false;
  // Of the response that was taken.
  int response_status_ = 0;
  int interim_responses_ = 0;
  bool keep_alive_ = false;
  std::string error_;
};

}  // namespace penstock::http
