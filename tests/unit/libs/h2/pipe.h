// Two sessions, or one and a peer of raw bytes, without sockets.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/h2/session.h"

namespace penstock::h2 {

// Keeps what a stream tells.
class Recorder final : public StreamHandler {
 public:
  void OnHead(Fields head, bool end) override;
  void OnData(Chunk data) override;
  void OnEnd(Fields trailers) override;
  void OnSent(std::size_t bytes) override { sent += bytes; }
  void OnClosed(ErrorCode code) override { closed = code; }

  // Null once the stream is closed.
  Stream* stream = nullptr;
  bool consumes = true;
  Fields head;
  bool has_head = false;
  std::string body;
  std::optional<Fields> trailers;
  bool has_ended = false;
  std::size_t sent = 0;
  std::optional<ErrorCode> closed;
};

// A session whose streams are recorded.
class End final : public SessionOwner {
 public:
  explicit End(bool is_server, SessionOptions options = {});
  ~End() override { session.CloseStreams(ErrorCode::kConnectionLost); }

  // A request on a new stream.
  Recorder& Open(Fields head, bool end);
  // Feeds bytes in pieces of `piece`. False when the session gave up.
  bool Feed(std::string_view bytes, std::size_t piece = 1 << 20);
  // What it would send, up to about `bytes_max`.
  std::string Take(std::size_t bytes_max = 1 << 30);

  void OnWantSend() override { wants_send = true; }
  void OnRequest(Stream& stream, Fields head, bool end) override;
  void OnStreamGone() override {}
  void OnGoaway() override { has_goaway = true; }
  void OnPingAck() override { has_ping_ack = true; }

  Session session;
  // In the order of their streams.
  std::vector<std::unique_ptr<Recorder>> recorders;
  bool consumes = true;
  bool wants_send = false;
  bool has_goaway = false;
  bool has_ping_ack = false;

 private:
  static SessionOptions With(SessionOptions options, bool is_server);
};

// Carries bytes both ways until neither side has any. False when one gave up.
bool Pump(End& a, End& b);

// A head with the pseudo fields.
Fields RequestHead(std::string_view path = "/s/m");
Fields AnswerHead(std::string_view status = "200");

}  // namespace penstock::h2
