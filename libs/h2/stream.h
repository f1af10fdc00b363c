// One HTTP/2 stream: a request and its answer, seen from either side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "libs/h2/chunk.h"
#include "libs/h2/fields.h"

namespace penstock::h2 {

class Session;
class Stream;

// Where a client's stream waits until it has a connection. Internal.
class WaitingRoom {
 public:
  virtual ~WaitingRoom() = default;
  // The stream will not be used any more.
  virtual void Forget(Stream& stream) = 0;
};

// Error codes of RFC 9113, section 7, as RST_STREAM and GOAWAY carry them.
enum class ErrorCode : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kStreamClosed = 5,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
  kInadequateSecurity = 12,
  // Not on the wire: the connection was lost, or could not be made.
  kConnectionLost = 0x10000,
};

// Gets what happens on a stream, on the stream's loop. It must outlive the stream, which ends with
// OnClosed or with the handler's own Stream::Reset. A handler may call its stream, other streams
// and Client::Open from any of these, but not destroy their client or server.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // The head of the answer; client streams only (a server's handler gets the head of the request by
  // itself). After one with `end` there is no OnEnd.
  virtual void OnHead(Fields head, bool end) = 0;
  // A piece of the body. The peer may send no more than a window ahead of Stream::Consume.
  virtual void OnData(Chunk data) = 0;
  // The peer has said everything; `trailers` may be empty.
  virtual void OnEnd(Fields trailers) = 0;
  // `bytes` of what was written have left the stream's queue for the socket.
  virtual void OnSent(std::size_t bytes) = 0;
  // The stream is over and its pointer void: normally (kNoError, after both sides ended), or by a
  // reset of the peer, or with the connection. The last call.
  virtual void OnClosed(ErrorCode code) = 0;
};

// Used on its loop only. The pointer is valid until OnClosed or Reset. What is written waits in the
// stream's queue for the peer's window and the socket, without limit: the writer watches queued(),
// or consumes on the other side no more than OnSent tells.
class Stream {
 public:
  // Who hears of the stream from now on. A server sets it in its request handler.
  void SetHandler(StreamHandler* handler) { handler_ = handler; }

  // Sends the head of the answer; servers only, once. With `end` it is the whole answer.
  void SendHead(Fields head, bool end);
  // Sends a piece of the body, after the head.
  void Write(Chunk data);
  // Ends what this side says, with or without trailers. A server that ends while the client still
  // sends resets the stream with NO_ERROR afterwards (RFC 9113, 8.1).
  void End();
  void End(Fields trailers);
  // Ends the stream at once; the handler hears no more, and what is queued is dropped.
  void Reset(ErrorCode code);

  // `bytes` of received data have been taken: the peer may send as many more.
  void Consume(std::size_t bytes);

  // Bytes that were written and have not left the queue.
  std::size_t queued() const { return queued_; }
  // Bytes that were received and not yet consumed.
  std::size_t unconsumed() const { return unconsumed_; }
  // Who is on the other side of its connection (Session::peer).
  std::string peer() const;
  // The index of its loop.
  int loop() const { return loop_; }

 private:
  friend class Session;
  friend class ClientPool;

  explicit Stream(int loop) : loop_(loop) {}
  ~Stream() = default;
  void Finish();

  const int loop_;
  // Null while it waits for a connection.
  Session* session_ = nullptr;
  WaitingRoom* waiting_room_ = nullptr;
  StreamHandler* handler_ = nullptr;
  std::int32_t id_ = 0;
  // What arrives: the head, then the trailers.
  Fields incoming_;
  // A request's head, until the stream has a connection.
  Fields head_;
  // Until nghttp2 asks for them.
  std::optional<Fields> trailers_;
  std::deque<Chunk> queue_;
  std::size_t queued_ = 0;
  std::size_t unconsumed_ = 0;
  bool has_sent_head_ = false;
  bool has_ended_ = false;
  // No data was left to send when nghttp2 last asked.
  bool is_deferred_ = false;
  bool has_peer_ended_ = false;
  bool is_head_too_large_ = false;
  // In the session's list of streams.
  Stream* previous_ = nullptr;
  Stream* next_ = nullptr;
};

}  // namespace penstock::h2
