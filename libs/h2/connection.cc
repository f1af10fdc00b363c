#include "libs/h2/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::h2 {
namespace {

namespace asio = boost::asio;

// An idle connection holds a small block; one that fills it gets larger ones.
constexpr std::size_t kReadBytesMin = 8 * 1024;
constexpr std::size_t kReadBytesMax = 64 * 1024;
// What is taken from the session for one write.
constexpr std::size_t kOutputBytesMax = 128 * 1024;
constexpr std::size_t kPiecesMax = 64;
constexpr std::size_t kRecordBytesMax = 16 * 1024;
// A peer that does not read while it makes us answer is not read either.
constexpr std::size_t kFramesWaitingMax = 1000;
// For clients that do not answer the PING which tells that they have seen our GOAWAY.
constexpr std::chrono::seconds kGoawayPatience{1};

}  // namespace

bool HasAgreedOnH2(SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

Connection::Connection(Socket socket, int loop, const SessionOptions& options,
                       ConnectionOwner& owner)
    : transport_(std::move(socket)),
      loop_(loop),
      owner_(owner),
      session_(options, loop, *this),
      read_bytes_(kReadBytesMin) {}

Connection::~Connection() {
  if (block_ != nullptr) block_->Unref();
}

void Connection::Accept(asio::ssl::context* tls) {
  if (tls == nullptr) return Start();
  transport_.UseTls(*tls);
  transport_.tls().async_handshake(
      asio::ssl::stream_base::server, [self = shared_from_this()](ErrorCode error) {
        if (self->is_closed_) return;
        if (error || !HasAgreedOnH2(self->transport_.tls().native_handle())) return self->Close();
        self->Start();
      });
}

void Connection::Start() {
  ErrorCode ignored;
  transport_.socket().non_blocking(true, ignored);
  // Fails on what is no TCP socket, which needs it not.
  transport_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  is_open_ = true;
  OnWantSend();
  Read();
}

void Connection::Close() {
  if (std::exchange(is_closed_, true)) return;
  const std::shared_ptr<Connection> self = shared_from_this();
  transport_.Close();
  session_.CloseStreams(h2::ErrorCode::kConnectionLost);
  owner_.OnClosed(*this);
}

void Connection::OnWantSend() {
  if (is_flush_posted_ || is_writing_ || is_closed_ || !is_open_) return;
  is_flush_posted_ = true;
  asio::post(transport_.socket().get_executor(), [self = shared_from_this()] {
    self->is_flush_posted_ = false;
    if (!self->is_writing_ && !self->is_closed_) self->Flush();
  });
}

void Connection::OnRequest(Stream& stream, Fields head, bool end) {
  last_stream_ = last_read_;
  owner_.OnRequest(stream, std::move(head), end);
}

void Connection::OnStreamGone() { last_stream_ = last_read_; }

void Connection::OnGoaway() { owner_.OnGoaway(*this); }

void Connection::OnPingAck() {
  is_ping_pending_ = false;
  if (drain_begin_ == Clock::time_point() || std::exchange(is_drain_finished_, true)) return;
  session_.FinishGoaway();
}

void Connection::Read() {
  if (is_reading_ || is_closed_) return;
  const bool may_wait = is_writing_ && !is_write_broken_;
  if (may_wait && session_.frames_waiting() > kFramesWaitingMax) return;
  if (block_ != nullptr && (block_->is_shared() || block_->size() != read_bytes_)) {
    std::exchange(block_, nullptr)->Unref();
  }
  if (block_ == nullptr) block_ = Block::New(read_bytes_);
  is_reading_ = true;
  transport_.AsyncReadSome(asio::buffer(block_->data(), block_->size()),
                           [self = shared_from_this()](ErrorCode error, std::size_t size) {
                             self->is_reading_ = false;
                             if (!self->is_closed_) self->OnRead(error, size);
                           });
}

void Connection::OnRead(ErrorCode error, std::size_t size) {
  if (error) return Close();
  last_read_ = Clock::now();
  const bool was_full = size == block_->size();
  if (!session_.Feed(*block_, size)) {
    // Whatever the session has to say about it goes out if the socket takes it at once.
    if (!is_writing_) Flush();
    return Close();
  }
  read_bytes_ = was_full ? kReadBytesMax : kReadBytesMin;
  CloseIfDone();
  Read();
}

void Connection::Flush() {
  if (output_.size() < kOutputBytesMax) session_.Gather(output_, kOutputBytesMax);
  if (output_.size() == 0) return CloseIfDone();
  if (transport_.is_tls()) return WriteTls();
  WritePlain();
}

void Connection::WriteTls() {
  record_.clear();
  for (const std::string_view piece : output_.Pieces(kPiecesMax)) {
    record_.append(piece.substr(0, kRecordBytesMax - record_.size()));
  }
  is_writing_ = true;
  transport_.AsyncWriteSome(asio::buffer(record_),
                            [self = shared_from_this()](ErrorCode error, std::size_t size) {
                              self->OnWritten(error, size);
                            });
}

void Connection::WritePlain() {
  thread_local std::vector<asio::const_buffer> buffers;
  while (true) {
    buffers.clear();
    for (const std::string_view piece : output_.Pieces(kPiecesMax)) {
      buffers.emplace_back(piece.data(), piece.size());
    }
    ErrorCode error;
    const std::size_t size = transport_.TryWrite(buffers, error);
    if (error == asio::error::would_block || error == asio::error::try_again) break;
    // The pending read tells what became of the connection, after what the peer still said.
    if (error) {
      is_writing_ = true;
      is_write_broken_ = true;
      return;
    }
    output_.Drop(size);
    if (output_.size() < kOutputBytesMax) session_.Gather(output_, kOutputBytesMax);
    if (output_.size() == 0) return CloseIfDone();
  }
  is_writing_ = true;
  transport_.AsyncWriteSome(buffers,
                            [self = shared_from_this()](ErrorCode error, std::size_t size) {
                              self->OnWritten(error, size);
                            });
}

void Connection::OnWritten(ErrorCode error, std::size_t size) {
  if (is_closed_) return;
  if (error) return Close();
  is_writing_ = false;
  output_.Drop(size);
  Flush();
  Read();
}

void Connection::CloseIfDone() {
  if (!is_closed_ && !is_writing_ && output_.size() == 0 && session_.IsDone()) Close();
}

void Connection::BeginDrain() {
  if (drain_begin_ != Clock::time_point() || is_closed_) return;
  drain_begin_ = Clock::now();
  if (!is_open_) return Close();
  session_.AnnounceGoaway();
  session_.Ping();
}

void Connection::Tick(Clock::time_point now, const Times& times) {
  if (!session_.has_peer_settings()) {
    if (now - begin_ > times.handshake) Close();
    return;
  }
  if (is_ping_pending_) {
    if (now - ping_sent_ > times.keepalive_timeout) return Close();
  } else if (now - last_read_ > times.keepalive) {
    is_ping_pending_ = true;
    ping_sent_ = now;
    session_.Ping();
  }
  const bool is_idle = session_.streams() == 0 && now - last_stream_ > times.idle;
  if (is_idle || now > age_end_) BeginDrain();
  if (drain_begin_ == Clock::time_point() || now - drain_begin_ < kGoawayPatience) return;
  if (!std::exchange(is_drain_finished_, true)) session_.FinishGoaway();
}

}  // namespace penstock::h2
