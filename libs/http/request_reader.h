// Turns the bytes of a connection into requests. Knows no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "libs/http/chunk_decoder.h"
#include "libs/http/input_buffer.h"
#include "libs/http/message.h"
#include "libs/http/pieces.h"
#include "libs/http/request_head.h"
#include "libs/http/server.h"

namespace penstock::http {

// Reads the requests of one connection, one after the other. Not thread-safe.
class RequestReader {
 public:
  enum class Event {
    kNeedMore,  // Read more, then call Next again.
    kContinue,  // The client waits for "100 Continue" before it sends the body; call Next again.
    kRequest,   // A whole request: TakeRequest.
    kStream,    // The head of a request for stream_handler(): TakeRequest, then ReadPieces.
    kRefused,   // refusal() says why; nothing more can be read.
  };
  // What a client is in the middle of sending.
  enum class Phase { kIdle, kHead, kBody };

  // `options` must outlive the reader. `peer` gives the address fields of each request.
  RequestReader(const ServerOptions& options, Request peer);

  InputBuffer& input() { return input_; }
  Event Next();
  Phase phase() const;

  // After kStream: adds what input() has of the body to `pieces`, and says when these are the last.
  // kNeedMore, kContinue (see above; once), kRequest or kRefused.
  Event ReadPieces(Pieces& pieces);
  // After kStream, once.
  StreamHandler TakeStreamHandler() { return std::exchange(stream_handler_, nullptr); }
  // Whether bytes of a body are still to come.
  bool is_in_body() const { return in_body_; }
  // What follows is no request any more: ReadPieces gives it as it is.
  void BeginTunnel() { is_tunnel_ = true; }

  // After kRequest, once.
  Request TakeRequest() { return std::move(request_); }
  // After kRequest: whether the client lets the connection live on, and what kind of answer it
  // expects.
  bool keep_alive() const { return keep_alive_; }
  bool is_head_request() const { return is_head_request_; }
  bool is_http_1_0() const { return is_http_1_0_; }

  const Refusal& refusal() const { return refusal_; }

 private:
  Event ReadHead();
  Event ReadBody();
  Event ReadChunks();
  void BeginBody(const RequestHead& head, std::size_t body_bytes_max);
  Event Refuse(Refusal refusal);

  const ServerOptions& options_;
  const Request peer_;
  InputBuffer input_;
  HeadScanner scanner_;
  Request request_;
  // Of a body in chunks.
  std::optional<ChunkDecoder> chunks_;
  // Of a body with a length: what has not arrived.
  std::uint64_t body_left_ = 0;
  bool in_body_ = false;
  bool is_tunnel_ = false;
  bool awaits_continue_ = false;
  StreamHandler stream_handler_;
  bool keep_alive_ = false;
  bool is_head_request_ = false;
  bool is_http_1_0_ = false;
  // One empty line may stand before a request line.
  bool skipped_empty_line_ = false;
  Refusal refusal_;
};

}  // namespace penstock::http
