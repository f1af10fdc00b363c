// An HTTP/2 connection: a socket and its session. Internal to libs/h2: it shows Asio.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "libs/h2/output.h"
#include "libs/h2/session.h"
#include "libs/http/transport_asio.h"

namespace penstock::h2 {

class Connection;

// Hears of its connections, on their loop.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void OnRequest(Stream& stream, Fields head, bool end) = 0;
  // The peer takes no more streams.
  virtual void OnGoaway(Connection& connection) = 0;
  // The socket is closed and all streams have ended.
  virtual void OnClosed(Connection& connection) = 0;
};

// True when a TLS handshake chose "h2" by ALPN.
bool HasAgreedOnH2(SSL* ssl);

// Used on its loop only. Lives as long as its owner, or a pending operation, holds it; after Close
// it says nothing more to the owner.
class Connection final : public std::enable_shared_from_this<Connection>, private SessionOwner {
 public:
  using Clock = std::chrono::steady_clock;
  using Socket = boost::asio::ip::tcp::socket;

  Connection(Socket socket, int loop, const SessionOptions& options, ConnectionOwner& owner);
  ~Connection() override;

  // Starts to speak HTTP/2; with a context, after the TLS handshake in which this side accepts. A
  // peer that does not agree on "h2" by ALPN is dropped.
  void Accept(boost::asio::ssl::context* tls);
  // Starts to speak HTTP/2 on a transport that is ready.
  void Start();
  http::Transport& transport() { return transport_; }
  // Closes at once; streams end with kConnectionLost. Not from inside a call of the session.
  void Close();

  // Lets open streams end and takes no new ones; closes then.
  void BeginDrain();
  // To be called about every second by servers.
  struct Times {
    std::chrono::milliseconds handshake;
    std::chrono::milliseconds idle;
    std::chrono::milliseconds keepalive;
    std::chrono::milliseconds keepalive_timeout;
  };
  void Tick(Clock::time_point now, const Times& times);
  // When it drains by itself.
  void set_age_end(Clock::time_point end) { age_end_ = end; }

  Session& session() { return session_; }
  bool is_closed() const { return is_closed_; }

 private:
  using ErrorCode = boost::system::error_code;

  void OnWantSend() override;
  void OnRequest(Stream& stream, Fields head, bool end) override;
  void OnStreamGone() override;
  void OnGoaway() override;
  void OnPingAck() override;

  void Read();
  void OnRead(ErrorCode error, std::size_t size);
  void Flush();
  void WriteTls();
  void WritePlain();
  void OnWritten(ErrorCode error, std::size_t size);
  void CloseIfDone();

  http::Transport transport_;
  const int loop_;
  ConnectionOwner& owner_;
  Session session_;
  Output output_;
  // What TLS encrypts next.
  std::string record_;
  Block* block_ = nullptr;
  std::size_t read_bytes_;
  bool is_reading_ = false;
  bool is_writing_ = false;
  // Nothing can be sent any more; is_writing_ stays.
  bool is_write_broken_ = false;
  bool is_flush_posted_ = false;
  bool is_closed_ = false;
  bool is_open_ = false;

  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_read_ = begin_;
  Clock::time_point last_stream_ = begin_;
  Clock::time_point ping_sent_{};
  Clock::time_point age_end_ = Clock::time_point::max();
  Clock::time_point drain_begin_{};
  bool is_ping_pending_ = false;
  bool is_drain_finished_ = false;
};

}  // namespace penstock::h2
