// One side of an HTTP/2 connection without its socket: nghttp2 and the streams.
#pragma once

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "libs/h2/chunk.h"
#include "libs/h2/output.h"
#include "libs/h2/stream.h"
#include "libs/h2/token_bucket.h"

namespace penstock::h2 {

struct SessionOptions {
  bool is_server = false;
  // Streams that the peer may have open at a time; more are refused.
  std::uint32_t streams_max = 256;
  // Names and values of a head or of trailers, with 32 for each field. A request with more is
  // answered 431, a longer answer resets its stream; four times as much ends the connection.
  std::size_t header_list_max = 16 * 1024;
  // How much the peer may send ahead, for a stream and over all streams.
  std::uint32_t stream_window = 128 * 1024;
  std::uint32_t connection_window = 1024 * 1024;
  // True when data counts as taken from the connection's window as soon as it arrives: a stream
  // that is not read then holds up no other, and the most that waits is a window for each stream.
  // For connections that many callers share.
  bool shares_window = false;
  // Frames that cost the peer nothing and make us work (PING, SETTINGS, PRIORITY, empty DATA),
  // beyond one for each head and each piece of data: at once, and for each second. With more, the
  // connection ends with ENHANCE_YOUR_CALM. (Some gRPC libraries measure by a PING with each piece
  // of data.)
  std::uint64_t idle_frames_burst = 1000;
  std::uint64_t idle_frames_per_second = 100;
  // The same for streams that the peer opens and resets (CVE-2023-44487), or makes us reset
  // (CVE-2025-8671).
  std::uint64_t resets_burst = 1000;
  std::uint64_t resets_per_second = 100;
};

// Hears of its session. Calls come from inside Feed and Gather, or from a method of a stream; none
// may destroy the session.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  // Something waits to be sent: Gather soon, not inside this call.
  virtual void OnWantSend() = 0;
  // A request began; the owner sets its handler.
  virtual void OnRequest(Stream& stream, Fields head, bool end) = 0;
  // The number of streams fell.
  virtual void OnStreamGone() = 0;
  // The peer takes no more streams on this connection.
  virtual void OnGoaway() = 0;
  virtual void OnPingAck() = 0;
};

// Used by one thread at a time.
class Session {
 public:
  Session(const SessionOptions& options, int loop, SessionOwner& owner);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes `size` bytes that were read into `block`. False when the connection is beyond repair: the
  // owner closes it (what Gather still gives may say why to the peer).
  bool Feed(Block& block, std::size_t size);
  // Appends what can be sent until `output` holds about `bytes_max`.
  void Gather(Output& output, std::size_t bytes_max);
  // True when nothing will be read or sent any more.
  bool IsDone() const;
  // What went wrong in Feed.
  const std::string& error() const { return error_; }

  // A stream for Open.
  Stream* NewStream(StreamHandler* handler) const;
  // Starts a request on a stream that has no session yet. False when no stream id is left.
  bool Open(Stream* stream, const Fields& head, bool end);

  // Tells the peer that no new streams are welcome; those that are under way in the peer's
  // direction still are until FinishGoaway.
  void AnnounceGoaway();
  // Takes no more streams. IsDone once the open ones have ended.
  void FinishGoaway();
  void Ping();
  // Ends all streams with `code`, without sending anything.
  void CloseStreams(ErrorCode code);

  // Who is on the other side, as gRPC writes it: "ipv4:127.0.0.1:1234"; empty when that is not
  // known.
  void set_peer(std::string peer) { peer_ = std::move(peer); }
  const std::string& peer() const { return peer_; }

  std::size_t streams() const { return streams_; }
  // Frames that wait to be sent; a peer that does not read makes them grow.
  std::size_t frames_waiting() const;
  // How many streams the peer allows at a time.
  std::uint32_t peer_streams_max() const;
  bool is_going_away() const { return is_going_away_; }
  // True once the peer has shown that it speaks HTTP/2.
  bool has_peer_settings() const { return has_peer_settings_; }

 private:
  friend class Stream;
  struct Callbacks;

  void Link(Stream* stream);
  // Takes the stream from the session without a word to its handler.
  void Unlink(Stream* stream);
  void CloseStream(Stream* stream, ErrorCode code);
  void DropUnconsumed(Stream* stream);
  Stream* Find(std::int32_t id) const;

  int OnBeginHeaders(const nghttp2_frame& frame);
  int OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int OnFrame(const nghttp2_frame& frame);
  void OnHeaders(Stream* stream, const nghttp2_frame& frame);
  void OnData(std::int32_t id, std::string_view bytes);
  void OnFrameSent(const nghttp2_frame& frame);
  void OnFrameNotSent(const nghttp2_frame& frame);
  void OnPeersReset();
  ssize_t OnReadSource(std::int32_t id, std::size_t size_max, std::uint32_t* flags);
  int OnSendData(std::int32_t id, const std::uint8_t* frame_head, std::size_t size);
  void OnIdleFrame();

  // For Stream.
  void Abandon(Stream* stream, ErrorCode code);
  void SubmitHead(Stream& stream, const Fields& head, bool end);
  void SubmitReset(std::int32_t id, ErrorCode code);
  void Consume(Stream& stream, std::size_t bytes);
  void Resume(Stream& stream);

  const SessionOptions options_;
  const int loop_;
  SessionOwner& owner_;
  nghttp2_session* session_ = nullptr;
  Stream* first_ = nullptr;
  std::size_t streams_ = 0;
  std::string peer_;
  TokenBucket idle_frames_;
  TokenBucket resets_;
  bool is_going_away_ = false;
  bool has_peer_settings_ = false;
  bool is_closed_ = false;
  Block* block_ = nullptr;
  Output* output_ = nullptr;
  std::size_t output_max_ = 0;
  std::string error_;
};

}  // namespace penstock::h2
