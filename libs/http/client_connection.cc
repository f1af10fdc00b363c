#include "libs/http/client_connection.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr std::size_t kReadMin = 4096;

absl::Status Unavailable(const std::string& message, const char* reason) {
  return WithReason(absl::UnavailableError(message), reason);
}

}  // namespace

ClientConnection::ClientConnection(std::shared_ptr<ClientPool> pool, const Url& url,
                                   std::string key)
    : pool_(std::move(pool)),
      url_(url),
      key_(std::move(key)),
      transport_(Tcp::socket(IoContextOf(pool_->context().loops, pool_->loop()))),
      timer_(transport_.socket().get_executor()) {}

void ClientConnection::Connect(std::shared_ptr<ClientCall> call) {
  call_ = std::move(call);
  call_->connection = weak_from_this();
  if (call_->stream != nullptr) call_->timer.reset();
  connect_deadline_ = SteadyClock::now() + call_->request.connect_timeout;
  SetTimer(connect_deadline_);
  pool_->context().dns.Resolve(
      pool_->loop(), url_.host,
      [self = shared_from_this()](absl::StatusOr<Dns::Addresses> addresses) {
        self->OnResolved(std::move(addresses));
      });
}

void ClientConnection::OnResolved(absl::StatusOr<Dns::Addresses> addresses) {
  if (state_ != State::kResolving) return;
  if (!addresses.ok()) return FailConnect(addresses.status());
  addresses_ = *std::move(addresses);
  state_ = State::kConnecting;
  ConnectNext();
}

void ClientConnection::ConnectNext() {
  if (next_address_ >= addresses_.size()) return FailConnect(connect_error_);
  const auto now = SteadyClock::now();
  const auto left = connect_deadline_ - now;
  // Each address gets its share of the time, so that one that never answers leaves some for the
  // others.
  const std::size_t untried = addresses_.size() - next_address_;
  remote_address_ = addresses_[next_address_++];
  if (const auto& egress = pool_->context().options.egress) {
    if (const absl::Status allowed = egress(remote_address_, url_.port); !allowed.ok()) {
      // A failure to connect to an address that is allowed says more than a refusal of another.
      if (connect_error_.ok()) connect_error_ = WithReason(allowed, kEgressDenied);
      return ConnectNext();
    }
  }
  ErrorCode error;
  const Tcp::endpoint endpoint(asio::ip::make_address(remote_address_, error), url_.port);
  if (error) return OnConnected(error);
  transport_.Close();
  const int fd =
      socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) return OnConnected(ErrorCode(errno, boost::system::system_category()));
  transport_.socket().assign(endpoint.protocol(), fd, error);
  if (error) {
    close(fd);
    return OnConnected(error);
  }
  transport_.socket().set_option(Tcp::no_delay(true), error);
  transport_.socket().non_blocking(true, error);
  SetTimer(now + left / untried);
  const std::size_t attempt = next_address_;
  transport_.socket().async_connect(endpoint, [self = shared_from_this(),
                                               attempt](ErrorCode result) {
    const bool is_current = self->state_ == State::kConnecting && self->next_address_ == attempt;
    if (is_current) self->OnConnected(result);
  });
}

void ClientConnection::OnConnected(ErrorCode error) {
  if (error) {
    const bool is_timeout = error == asio::error::timed_out;
    connect_error_ = Unavailable(fmt::format("cannot connect to {} at {}: {}", url_.Authority(),
                                             remote_address_, error.message()),
                                 is_timeout ? kConnectTimeout : kConnectFailed);
    return ConnectNext();
  }
  if (url_.is_tls) return Handshake();
  OnConnectionReady();
}

void ClientConnection::Handshake() {
  state_ = State::kHandshaking;
  SetTimer(connect_deadline_);
  transport_.UseTls(*pool_->context().tls);
  ErrorCode error;
  asio::ip::make_address(url_.host, error);
  // Server name indication is for names only.
  if (error) SSL_set_tlsext_host_name(transport_.tls().native_handle(), url_.host.c_str());
  if (pool_->context().options.tls.verify_peer) {
    transport_.tls().set_verify_callback(asio::ssl::host_name_verification(url_.host), error);
  }
  transport_.tls().async_handshake(
      asio::ssl::stream_base::client,
      [self = shared_from_this()](ErrorCode result) { self->OnHandshake(result); });
}

void ClientConnection::OnHandshake(ErrorCode error) {
  if (state_ != State::kHandshaking) return;
  if (!error) return OnConnectionReady();
  const long verify = SSL_get_verify_result(transport_.tls().native_handle());
  FailConnect(Unavailable(
      fmt::format("TLS handshake with {} at {} failed: {}", url_.Authority(), remote_address_,
                  verify == X509_V_OK ? error.message() : X509_verify_cert_error_string(verify)),
      kTlsFailed));
}

void ClientConnection::OnConnectionReady() {
  timer_.cancel();
  is_timer_set_ = false;
  state_ = State::kIdle;
  Read();
  Send(std::exchange(call_, nullptr));
}

void ClientConnection::FailConnect(const absl::Status& status) { Abandon(status); }

void ClientConnection::Send(std::shared_ptr<ClientCall> call) {
  call_ = std::move(call);
  call_->connection = weak_from_this();
  state_ = State::kBusy;
  written_ = 0;
  is_write_done_ = false;
  has_response_bytes_ = false;
  if (const std::shared_ptr<ClientStream> stream = call_->stream) {
    call_->timer.reset();
    has_response_head_ = wants_pieces_ = is_writing_pieces_ = has_last_piece_ = false;
    has_tunnel_ended_ = false;
    stream_read_size_ = kReadMin;
    gather_.Clear();
    reader_.ResetForStream(stream->request().method == "HEAD", stream->request().may_upgrade);
    BuildStreamHead(stream->request());
    return stream->OnConnection(shared_from_this());
  }
  reader_.Reset(call_->request.method == "HEAD", call_->request.response_bytes_max);
  BuildHead();
  Write();
}

void ClientConnection::BuildHead() {
  const ClientRequest& request = call_->request;
  head_.clear();
  head_.append(request.method).append(" ");
  head_.append(call_->url.target).append(" HTTP/1.1\r\n");
  if (!request.headers.Has("host")) {
    head_.append("Host: ").append(url_.Authority()).append("\r\n");
  }
  for (const Headers::Field field : request.headers) {
    head_.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  const bool expects_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (request.body != nullptr || expects_body) {
    const std::size_t size = request.body == nullptr ? 0 : request.body->size();
    head_.append("Content-Length: ").append(std::to_string(size)).append("\r\n");
  }
  head_ += "\r\n";
}

void ClientConnection::Write() {
  const std::string* body = call_->request.body.get();
  const std::size_t total = head_.size() + (body == nullptr ? 0 : body->size());
  while (written_ < total) {
    const std::size_t in_head = std::min(written_, head_.size());
    const std::array<asio::const_buffer, 2> buffers{
        asio::buffer(head_) + in_head,
        body == nullptr ? asio::const_buffer() : asio::buffer(*body) + (written_ - in_head)};
    ErrorCode error;
    const std::size_t size = transport_.TryWrite(buffers, error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      // The call is held, so that its body outlives the write.
      return transport_.AsyncWriteSome(
          buffers, [self = shared_from_this(), call = call_](ErrorCode result, std::size_t count) {
            if (self->state_ == State::kBusy && self->call_ == call) self->OnWritten(result, count);
          });
    }
    // The pending read tells what became of the connection; an answer may be there already.
    if (error) return;
    written_ += size;
  }
  is_write_done_ = true;
}

void ClientConnection::OnWritten(ErrorCode error, std::size_t size) {
  if (error) return;
  written_ += size;
  Write();
}

void ClientConnection::Read() {
  const bool is_stream = state_ == State::kBusy && call_->stream != nullptr;
  const std::span<char> room =
      reader_.input().Prepare(is_stream ? std::max(stream_read_size_, kReadMin) : kReadMin);
  is_reading_ = true;
  transport_.AsyncReadSome(asio::buffer(room.data(), room.size()),
                           [self = shared_from_this()](ErrorCode error, std::size_t size) {
                             self->is_reading_ = false;
                             self->reader_.input().Commit(size);
                             self->OnRead(error, size);
                           });
}

void ClientConnection::OnRead(ErrorCode error, std::size_t size) {
  if (state_ == State::kClosed) return;
  // An idle connection has nothing to say: it was closed, or the server is out of step.
  if (state_ == State::kIdle) return Abandon(absl::OkStatus());
  if (has_response_head_) return OnStreamRead(error);
  if (size > 0) {
    has_response_bytes_ = true;
    const ResponseReader::Event event = reader_.Next();
    if (event != ResponseReader::Event::kNeedMore) return OnEvent(event);
  }
  if (!error) return Read();
  const bool is_end = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
  if (!has_response_bytes_ || !is_end) return OnLost(error.message());
  const ResponseReader::Event event = reader_.OnEnd();
  // A truncated TLS stream must not pass for the end of a body without declared length.
  const bool is_cut = event != ResponseReader::Event::kResponse || error != asio::error::eof;
  return is_cut ? OnLost("closed before the end of the answer") : OnEvent(event);
}

void ClientConnection::OnEvent(ResponseReader::Event event) {
  switch (event) {
    case ResponseReader::Event::kNeedMore: return;
    case ResponseReader::Event::kHead: return OnStreamHead();
    case ResponseReader::Event::kResponse: return OnResponse();
    case ResponseReader::Event::kTooLarge:
      return Abandon(WithReason(absl::ResourceExhaustedError(fmt::format(
                                    "the answer of {} is longer than {} bytes", url_.Authority(),
                                    call_->request.response_bytes_max)),
                                kResponseTooLarge));
    case ResponseReader::Event::kMalformed:
      return Abandon(Unavailable(
          fmt::format("{} gave no valid HTTP answer: {}", url_.Authority(), reader_.error()),
          kResponseMalformed));
  }
}

void ClientConnection::OnResponse() {
  ClientResponse response = reader_.TakeResponse();
  response.remote_address = remote_address_;
  const std::shared_ptr<ClientCall> call = std::exchange(call_, nullptr);
  BecomeIdle();
  call->Finish(std::move(response));
}

// The present answer is complete.
void ClientConnection::BecomeIdle() {
  if (!reader_.keep_alive() || !is_write_done_ || reader_.input().size() > 0) return Close();
  if (epoch_ != pool_->epoch()) return Close();
  state_ = State::kIdle;
  is_reused_ = true;
  has_response_head_ = false;
  SetDeadline(SteadyClock::now() + pool_->context().options.idle_timeout);
  if (!is_reading_) Read();
  pool_->OnIdle(shared_from_this());
}

void ClientConnection::OnLost(const std::string& why) {
  const std::shared_ptr<ClientCall> call = std::exchange(call_, nullptr);
  Close();
  // Pieces that were written are gone.
  const bool is_harmless = call->request.idempotent || (call->stream == nullptr && !is_write_done_);
  const bool may_resend = is_reused_ && !has_response_bytes_ && !call->is_retry && is_harmless;
  if (may_resend) return pool_->Retry(call);
  call->Finish(Unavailable(fmt::format("the connection to {} was lost: {}", url_.Authority(), why),
                           kConnectionLost));
}

bool ClientConnection::IsAlive() {
  char byte = 0;
  const ssize_t size = recv(transport_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // TLS may have records of its own waiting; plain HTTP may not.
  if (size > 0) return url_.is_tls;
  return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void ClientConnection::Abandon(const absl::Status& status) {
  if (state_ == State::kClosed) return;
  const std::shared_ptr<ClientCall> call = std::exchange(call_, nullptr);
  Close();
  if (call != nullptr) call->Finish(status);
}

void ClientConnection::Close() {
  state_ = State::kClosed;
  timer_.cancel();
  transport_.Close();
  pool_->OnClosed(shared_from_this());
}

void ClientConnection::SetTimer(SteadyClock::time_point expiry) {
  deadline_ = expiry;
  is_timer_set_ = true;
  timer_.expires_at(expiry);
  timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (!error) self->OnTimer();
  });
}

void ClientConnection::SetDeadline(SteadyClock::time_point deadline) {
  deadline_ = deadline;
  if (deadline == SteadyClock::time_point::max()) return;
  if (!is_timer_set_ || deadline < timer_.expiry()) SetTimer(deadline);
}

void ClientConnection::OnTimer() {
  if (state_ == State::kClosed || SteadyClock::now() < timer_.expiry()) return;
  is_timer_set_ = false;
  const long limit =
      static_cast<long>(call_ == nullptr ? 0 : call_->request.connect_timeout.count());
  switch (state_) {
    case State::kResolving:
      return FailConnect(Unavailable(
          fmt::format("cannot resolve \"{}\" within {} ms", url_.host, limit), kDnsFailed));
    case State::kConnecting: return OnConnected(asio::error::timed_out);
    case State::kHandshaking:
      return FailConnect(
          Unavailable(fmt::format("no TLS connection to {} within {} ms", url_.Authority(), limit),
                      kConnectTimeout));
    case State::kIdle:
      // A request since then has moved the deadline but not the timer.
      if (SteadyClock::now() >= deadline_) return Abandon(absl::OkStatus());
      return SetTimer(deadline_);
    case State::kBusy:
      if (call_->stream == nullptr || deadline_ == SteadyClock::time_point::max()) return;
      if (SteadyClock::now() >= deadline_) return OnStreamTimeout();
      return SetTimer(deadline_);
    case State::kClosed: return;
  }
}

}  // namespace penstock::http
