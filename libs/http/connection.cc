#include "libs/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/server_exchange.h"

namespace penstock::http {
namespace {

// Least room for a read, and what is offered while a body arrives.
constexpr std::size_t kReadMin = 2048;
constexpr std::size_t kBodyReadMin = 32 * 1024;
// Answers to pipelined requests are gathered up to here before they are written.
constexpr std::size_t kGatherMax = 64 * 1024;
constexpr std::size_t kDrainRead = 16 * 1024;

absl::StatusCode CodeOfRefusal(int http_status) {
  switch (http_status) {
    case 408: return absl::StatusCode::kDeadlineExceeded;
    case 500: return absl::StatusCode::kInternal;
    case 503: return absl::StatusCode::kUnavailable;
    default: return absl::StatusCode::kInvalidArgument;
  }
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerContext> context, int loop, Transport::Socket socket,
                       Request peer)
    : context_(std::move(context)),
      settings_(context_->settings.Get(loop)),
      loop_(loop),
      transport_(std::move(socket)),
      reader_(settings_->options, std::move(peer)),
      timer_(transport_.socket().get_executor()) {}

void Connection::Start(bool refuse) {
  loop_state().connections.emplace(this, shared_from_this());
  ErrorCode error;
  transport_.socket().set_option(boost::asio::ip::tcp::no_delay(true), error);
  transport_.socket().non_blocking(true, error);
  if (refuse) {
    if (settings_->tls != nullptr) return Close();
    Refuse({503, "too many connections"});
    return Resume();
  }
  if (settings_->tls != nullptr) return Handshake();
  EnsureRead();
  UpdateDeadline();
}

void Connection::Handshake() {
  state_ = State::kHandshaking;
  transport_.UseTls(*settings_->tls);
  SetDeadline(SteadyClock::now() + settings_->options.timeouts.header_read);
  transport_.tls().async_handshake(boost::asio::ssl::stream_base::server,
                                   [self = shared_from_this()](ErrorCode error) {
                                     if (self->state_ != State::kHandshaking) return;
                                     if (error) return self->Close();
                                     self->state_ = State::kReading;
                                     self->EnsureRead();
                                     self->UpdateDeadline();
                                   });
}

void Connection::EnsureRead() {
  const bool wants_input = ReadsPieces()
                               ? wants_pieces_
                               : (state_ == State::kReading && !is_writing_) ||
                                     ((state_ == State::kReading || state_ == State::kHandling ||
                                       state_ == State::kStreaming) &&
                                      reader_.input().size() < limits().pipeline_bytes_max);
  if (is_reading_ || peer_closed_ || holds_pieces_ || !wants_input) return;
  is_reading_ = true;
  const bool is_body = reader_.phase() == RequestReader::Phase::kBody || is_tunnel_;
  const std::span<char> room = reader_.input().Prepare(is_body ? kBodyReadMin : kReadMin);
  transport_.AsyncReadSome(boost::asio::buffer(room.data(), room.size()),
                           [self = shared_from_this()](ErrorCode error, std::size_t size) {
                             self->OnRead(error, size);
                           });
}

void Connection::OnRead(ErrorCode error, std::size_t size) {
  is_reading_ = false;
  reader_.input().Commit(size);
  loop_state().bytes_received.fetch_add(size, std::memory_order_relaxed);
  if (state_ == State::kClosed || state_ == State::kLingering || state_ == State::kClosing) return;
  if (error) {
    const bool is_end =
        error == boost::asio::error::eof || error == boost::asio::ssl::error::stream_truncated;
    return is_end ? OnPeerClosed() : Close();
  }
  if (wants_pieces_) return OnReadable();
  if (state_ == State::kReading && !is_writing_) return Process();
  EnsureRead();
}

void Connection::OnPeerClosed() {
  if (ReadsPieces()) {
    if (!is_tunnel_) return Close();
    peer_closed_ = true;
    return OnReadable();
  }
  // A client may close its sending side and still wait for the answer to what it sent.
  const bool awaits_answer = state_ == State::kHandling || is_writing_;
  if (!awaits_answer) return Close();
  peer_closed_ = true;
  closes_after_answer_ = true;
  if (state_ == State::kReading) state_ = State::kClosing;
  if (state_ == State::kHandling) NotifyClosed();
}

bool Connection::IsPeerGone() {
  if (state_ == State::kClosed || peer_closed_) return true;
  // Unlike a look at the input this sees an end behind bytes that nobody has read yet.
  pollfd socket{transport_.socket().native_handle(), POLLRDHUP, 0};
  return poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::Process() {
  bool goes_on = true;
  while (goes_on && state_ == State::kReading && !is_writing_) {
    goes_on = ProcessBuffered();
    Flush();
  }
  if (peer_closed_ && state_ == State::kReading && !is_writing_) return Close();
  // The answer before this may have been written when the drain had not begun.
  if (context_->draining.load(std::memory_order_relaxed) && exchange_id_ > 0 && IsIdle()) {
    return Close();
  }
  EnsureRead();
  UpdateDeadline();
}

bool Connection::IsIdle() {
  return state_ == State::kReading && !is_writing_ &&
         reader_.phase() == RequestReader::Phase::kIdle;
}

// Handles requests that are in the buffer already; true when it stopped for the output's sake only.
bool Connection::ProcessBuffered() {
  is_processing_ = true;
  bool needs_input = false;
  while (!needs_input && state_ == State::kReading && out_.size() < kGatherMax &&
         out_tail_.empty()) {
    switch (reader_.Next()) {
      case RequestReader::Event::kNeedMore: needs_input = true; break;
      case RequestReader::Event::kContinue: out_ += "HTTP/1.1 100 Continue\r\n\r\n"; break;
      case RequestReader::Event::kRequest: Dispatch(nullptr); break;
      case RequestReader::Event::kStream: Dispatch(reader_.TakeStreamHandler()); break;
      case RequestReader::Event::kRefused: Refuse(reader_.refusal()); break;
    }
  }
  is_processing_ = false;
  return !needs_input;
}

void Connection::Dispatch(StreamHandler stream_handler) {
  loop_state().requests.fetch_add(1, std::memory_order_relaxed);
  ++exchange_id_;
  closes_after_answer_ = !reader_.keep_alive() || peer_closed_;
  state_ = State::kHandling;
  is_stream_ = stream_handler != nullptr;
  auto exchange = std::make_shared<ServerExchange>(shared_from_this(), exchange_id_);
  try {
    if (is_stream_) {
      stream_handler(reader_.TakeRequest(), std::move(exchange));
    } else {
      context_->handler(reader_.TakeRequest(), std::move(exchange));
    }
  } catch (...) {
    // The exchange was dropped on the way out, which answers 500 unless the handler kept it
    // elsewhere.
  }
}

Response Connection::ErrorAnswer(int http_status, const std::string& message) {
  loop_state().refusals.fetch_add(1, std::memory_order_relaxed);
  const absl::Status error(CodeOfRefusal(http_status), message);
  const auto& make = settings_->options.error_response;
  return make ? make(http_status, error) : ErrorResponse(http_status, error);
}

void Connection::Refuse(const Refusal& refusal) {
  must_linger_ = true;
  state_ = State::kClosing;
  AppendAnswer(ErrorAnswer(refusal.http_status, refusal.message), true);
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  const bool was_answering = state_ == State::kHandling || state_ == State::kStreaming;
  if (state_ == State::kStreaming && ends_with_connection_) {
    // An ordinary close would look like the end of the body.
    ErrorCode ignored;
    transport_.socket().set_option(boost::asio::socket_base::linger(true, 0), ignored);
  }
  state_ = State::kClosed;
  transport_.Close();
  timer_.cancel();
  if (was_answering) NotifyClosed();
  for (PendingChunk& chunk : pending_chunks_) {
    NotifyWritten(std::move(chunk), absl::UnavailableError("the client is gone"));
  }
  pending_chunks_.clear();
  stream_callbacks_.reset();
  const std::shared_ptr<Connection> self = shared_from_this();
  loop_state().connections.erase(this);
  if (context_->connections_open.fetch_sub(1) == 1) {
    const std::lock_guard lock(context_->mutex);
    context_->all_closed.notify_all();
  }
}

void Connection::NotifyClosed() {
  lost_exchange_id_ = exchange_id_;
  if (!on_closed_) return;
  event_loops().Post(loop_, std::exchange(on_closed_, nullptr));
}

void Connection::BeginDrain() {
  const bool is_idle =
      state_ == State::kHandshaking ||
      (state_ == State::kReading && !is_writing_ && reader_.phase() == RequestReader::Phase::kIdle);
  if (!is_idle) return;
  // What the kernel has received already is a request that would be lost.
  ErrorCode error;
  if (transport_.socket().available(error) > 0 && state_ == State::kReading) return;
  Close();
}

void Connection::BeginLinger() {
  if (!transport_.is_tls() && !must_linger_ && reader_.input().size() == 0) return Close();
  state_ = State::kLingering;
  SetDeadline(SteadyClock::now() + settings_->options.timeouts.drain);
  if (!transport_.is_tls()) {
    ErrorCode ignored;
    transport_.socket().shutdown(Transport::Socket::shutdown_send, ignored);
    return ReadRaw();
  }
  transport_.tls().async_shutdown([self = shared_from_this()](ErrorCode) {
    if (self->state_ != State::kLingering) return;
    if (!self->must_linger_) return self->Close();
    ErrorCode ignored;
    self->transport_.socket().shutdown(Transport::Socket::shutdown_send, ignored);
    self->ReadRaw();
  });
}

// Reads and drops until the client closes. A pending regular read may take a share; it is dropped
// too.
void Connection::ReadRaw() {
  drain_buffer_.resize(kDrainRead);
  transport_.socket().async_read_some(
      boost::asio::buffer(drain_buffer_),
      [self = shared_from_this()](ErrorCode error, std::size_t size) {
        if (self->state_ != State::kLingering) return;
        self->drained_bytes_ += size;
        if (error || self->drained_bytes_ > self->limits().drain_bytes_max) return self->Close();
        self->ReadRaw();
      });
}

void Connection::UpdateDeadline() {
  const ServerTimeouts& timeouts = settings_->options.timeouts;
  if (is_writing_) {
    // OnWrite moves the deadline with every progress.
    if (!was_writing_) SetDeadline(SteadyClock::now() + timeouts.write);
    was_writing_ = true;
    return;
  }
  const bool wrote = std::exchange(was_writing_, false);
  if (state_ != State::kReading) {
    if (wants_pieces_ && !is_tunnel_) {
      SetDeadline(SteadyClock::now() + timeouts.body_read);
    } else if (state_ == State::kHandling || state_ == State::kStreaming) {
      deadline_ = SteadyClock::time_point::max();
    }
    return;
  }
  RequestReader::Phase phase = reader_.phase();
  // A new connection is given the time of a header, not that of an idle one.
  if (phase == RequestReader::Phase::kIdle && exchange_id_ == 0)
    phase = RequestReader::Phase::kHead;
  const bool is_unchanged = !wrote && deadline_ != SteadyClock::time_point::max() &&
                            deadline_phase_ == phase && deadline_request_ == exchange_id_;
  if (is_unchanged) return;
  deadline_phase_ = phase;
  deadline_request_ = exchange_id_;
  const auto timeout = phase == RequestReader::Phase::kIdle   ? timeouts.idle
                       : phase == RequestReader::Phase::kHead ? timeouts.header_read
                                                              : timeouts.body_read;
  SetDeadline(SteadyClock::now() + timeout);
}

void Connection::SetDeadline(SteadyClock::time_point deadline) {
  deadline_ = deadline;
  if (deadline >= timer_expiry_ || state_ == State::kClosed) return;
  WaitForDeadline();
}

void Connection::WaitForDeadline() {
  timer_expiry_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (error || self->state_ == State::kClosed) return;
    self->timer_expiry_ = SteadyClock::time_point::max();
    if (self->deadline_ == SteadyClock::time_point::max()) return;
    if (SteadyClock::now() >= self->deadline_) return self->OnDeadline();
    self->WaitForDeadline();
  });
}

void Connection::OnDeadline() {
  if (wants_pieces_ && !is_writing_) {
    return RefuseBody({408, "the body did not arrive in time"});
  }
  const bool is_idle = reader_.phase() == RequestReader::Phase::kIdle;
  if (state_ != State::kReading || is_writing_ || is_idle) return Close();
  const bool is_body = reader_.phase() == RequestReader::Phase::kBody;
  Refuse({408, is_body ? "the body did not arrive in time" : "the header did not arrive in time"});
  Resume();
}

}  // namespace penstock::http
