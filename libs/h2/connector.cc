#include "libs/h2/connector.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <cerrno>
#include <charconv>
#include <utility>

#include "libs/base/status.h"
#include "libs/h2/client_pool.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::h2 {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

// Finds dead peers within about a minute, without a frame of HTTP/2.
void SetKeepAlive(int fd) {
  const auto set = [fd](int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof(value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

}  // namespace

bool SplitAddress(const std::string& address, std::string& host, std::uint16_t& port) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const char* const end = address.data() + address.size();
  const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
  return error == std::errc() && stop == end && port != 0 && !host.empty();
}

Connector::Connector(std::shared_ptr<const ClientContext> context, int loop, ConnectionOwner& owner)
    : context_(std::move(context)),
      loop_(loop),
      owner_(owner),
      timer_(http::IoContextOf(context_->loops, loop)),
      attempt_timer_(timer_.get_executor()) {}

void Connector::Start(const std::string& address, std::vector<std::string> used, bool only_others,
                      Done done) {
  done_ = std::move(done);
  used_ = std::move(used);
  only_others_ = only_others;
  address_ = address;
  timer_.expires_after(context_->options.connect_timeout);
  timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (error || !self->done_) return;
    self->Fail(
        fmt::format("no connection within {} ms", self->context_->options.connect_timeout.count()));
  });
  if (context_->options.connect) {
    asio::post(timer_.get_executor(), [self = shared_from_this()] { self->Adopt(); });
    return;
  }
  SplitAddress(address, host_, port_);
  context_->dns.Resolve(loop_, host_,
                        [self = shared_from_this()](absl::StatusOr<http::Dns::Addresses> found) {
                          self->OnResolved(std::move(found));
                        });
}

void Connector::Cancel() {
  done_ = nullptr;
  timer_.cancel();
  attempt_timer_.cancel();
  if (connection_ != nullptr) connection_->transport().Close();
}

void Connector::OnResolved(absl::StatusOr<http::Dns::Addresses> addresses) {
  if (!done_) return;
  if (!addresses.ok()) return Fail(std::string(addresses.status().message()));
  addresses_ = *std::move(addresses);
  servers_ = addresses_.size();
  const auto uses = [this](const std::string& address) {
    return std::count(used_.begin(), used_.end(), address);
  };
  if (only_others_) {
    std::erase_if(addresses_, [&](const std::string& address) { return uses(address) > 0; });
  }
  std::stable_sort(addresses_.begin(), addresses_.end(),
                   [&](const std::string& a, const std::string& b) { return uses(a) < uses(b); });
  ConnectNext();
}

void Connector::SetSocket(int fd, ErrorCode& error) {
  connection_ =
      std::make_shared<Connection>(Connection::Socket(http::IoContextOf(context_->loops, loop_)),
                                   loop_, context_->options.session, owner_);
  // A socket of another family is as good: Asio only reads and writes on it.
  connection_->transport().socket().assign(Tcp::v4(), fd, error);
  if (error) close(fd);
}

void Connector::ConnectNext() {
  if (next_ >= addresses_.size()) return Fail(why_);
  const std::string& address = addresses_[next_++];
  denied_ = absl::OkStatus();
  if (context_->options.egress) {
    const absl::Status allowed = context_->options.egress(address, port_);
    if (!allowed.ok()) {
      denied_ = WithReason(allowed, http::kEgressDenied);
      return ConnectNext();
    }
  }
  ErrorCode error;
  const Tcp::endpoint endpoint(asio::ip::make_address(address, error), port_);
  if (error) return OnConnected(error);
  const int fd =
      socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) return OnConnected(ErrorCode(errno, boost::system::system_category()));
  SetKeepAlive(fd);
  SetSocket(fd, error);
  if (error) return OnConnected(error);
  Connection::Socket& socket = connection_->transport().socket();
  socket.non_blocking(true, error);
  LimitAttempt();
  // What is given up on lives until its operation has ended.
  socket.async_connect(
      endpoint, [self = shared_from_this(), attempt = next_, held = connection_](ErrorCode result) {
        if (self->IsCurrent(attempt)) self->OnConnected(result);
      });
}

// Each address gets its share of the time, so that one that never answers leaves some for the
// others.
void Connector::LimitAttempt() {
  attempt_timer_.cancel();
  if (next_ >= addresses_.size()) return;  // All the time that is left.
  const auto left = timer_.expiry() - std::chrono::steady_clock::now();
  const auto untried = static_cast<int>(addresses_.size() - next_) + 1;
  attempt_timer_.expires_after(left / untried);
  attempt_timer_.async_wait([self = shared_from_this(), attempt = next_](ErrorCode error) {
    if (!error && self->IsCurrent(attempt)) self->TryNext("it did not answer in time");
  });
}

void Connector::TryNext(std::string why) {
  why_ = std::move(why);
  if (connection_ != nullptr) connection_->transport().Close();
  ConnectNext();
}

void Connector::OnConnected(ErrorCode error) {
  if (error) return TryNext(error.message());
  context_->tls != nullptr ? Handshake() : Succeed();
}

void Connector::Handshake() {
  http::Transport& transport = connection_->transport();
  transport.UseTls(*context_->tls);
  SSL* const ssl = transport.tls().native_handle();
  constexpr unsigned char kH2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kH2, sizeof(kH2));
  ErrorCode error;
  asio::ip::make_address(host_, error);
  // Server name indication is for names only.
  if (error) SSL_set_tlsext_host_name(ssl, host_.c_str());
  if (context_->options.tls->verify_peer) {
    transport.tls().set_verify_callback(asio::ssl::host_name_verification(host_), error);
  }
  transport.tls().async_handshake(
      asio::ssl::stream_base::client,
      [self = shared_from_this(), attempt = next_, held = connection_](ErrorCode result) {
        if (self->IsCurrent(attempt)) self->OnHandshake(result);
      });
}

void Connector::OnHandshake(ErrorCode error) {
  SSL* const ssl = connection_->transport().tls().native_handle();
  if (error) {
    const long verify = SSL_get_verify_result(ssl);
    return TryNext(
        fmt::format("the TLS handshake failed: {}",
                    verify == X509_V_OK ? error.message() : X509_verify_cert_error_string(verify)));
  }
  if (!HasAgreedOnH2(ssl)) return TryNext("the peer does not speak HTTP/2 over TLS (ALPN \"h2\")");
  Succeed();
}

void Connector::Adopt() {
  if (!done_) return;
  const absl::StatusOr<int> fd = context_->options.connect();
  if (!fd.ok()) return Fail(std::string(fd.status().message()));
  ErrorCode error;
  SetSocket(*fd, error);
  if (error) return Fail(error.message());
  Succeed();
}

void Connector::Succeed() {
  timer_.cancel();
  attempt_timer_.cancel();
  connection_->Start();
  std::string server = next_ == 0 ? std::string() : addresses_[next_ - 1];
  std::exchange(done_,
                nullptr)(Made{std::exchange(connection_, nullptr), std::move(server), servers_});
}

void Connector::Fail(const std::string& why) {
  Done done = std::exchange(done_, nullptr);
  Cancel();
  if (!denied_.ok()) return done(denied_);
  done(absl::UnavailableError(fmt::format("cannot connect to {}: {}", address_, why)));
}

}  // namespace penstock::h2
