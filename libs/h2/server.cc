#include "libs/h2/server.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <condition_variable>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/h2/connection.h"
#include "libs/http/acceptor_asio.h"
#include "libs/http/cancelable.h"
#include "libs/http/event_loops_asio.h"
#include "libs/http/tls_context_asio.h"

namespace penstock::h2 {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr milliseconds kTick{1'000};

// Chooses "h2", or ends the handshake. The choice points into our list, which outlives the call.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr unsigned char kH2[] = {2, 'h', '2'};
  const int result = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kH2,
                                           sizeof(kH2), offered, offered_size);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::string PeerOf(const Connection::Socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("ipv6:[{}]:{}", host, endpoint.port())
                                    : fmt::format("ipv4:{}:{}", host, endpoint.port());
}

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(http::EventLoops& loops, Options options, RequestHandler handler)
      : loops_(loops),
        options_(std::move(options)),
        handler_(std::move(handler)),
        connections_max_(options_.connections_max) {
    options_.session.is_server = true;
    for (int i = 0; i < loops.size(); ++i) {
      connections_.push_back(std::make_unique<LoopConnections>(*this));
    }
  }

  absl::Status Open();
  absl::StatusOr<std::function<void()>> PrepareTls(const http::ServerTls& tls);
  void StopAccepting() { acceptor_->Close(); }
  bool Drain(milliseconds deadline);
  void Stop();
  ServerStats Stats() const;
  std::uint16_t port() const { return acceptor_->port(); }
  void SetConnectionsMax(std::size_t max) { connections_max_ = max; }

 private:
  // The connections of one loop.
  class LoopConnections final : public ConnectionOwner {
   public:
    explicit LoopConnections(Impl& impl) : impl_(impl) {}

    void Add(std::shared_ptr<Connection> connection) {
      all_.emplace(connection.get(), std::move(connection));
    }
    // A copy, as connections leave while they are worked on.
    std::vector<std::shared_ptr<Connection>> List() const {
      std::vector<std::shared_ptr<Connection>> list;
      for (const auto& entry : all_) list.push_back(entry.second);
      return list;
    }
    void OnRequest(Stream& stream, Fields head, bool end) override {
      requests_.fetch_add(1, std::memory_order_relaxed);
      impl_.handler_(stream, std::move(head), end);
    }
    void OnGoaway(Connection&) override {}
    void OnClosed(Connection& connection) override {
      all_.erase(&connection);
      impl_.OnConnectionClosed();
    }
    std::uint64_t requests() const { return requests_.load(std::memory_order_relaxed); }

    std::shared_ptr<http::Cancelable> tick;

   private:
    Impl& impl_;
    std::unordered_map<Connection*, std::shared_ptr<Connection>> all_;
    std::atomic<std::uint64_t> requests_{0};
  };

  void HandOver(http::Descriptor descriptor);
  void Adopt(int loop, http::Descriptor descriptor);
  void OnConnectionClosed();
  void SetTick(int loop);

  http::EventLoops& loops_;
  Options options_;
  const RequestHandler handler_;
  std::mutex tls_mutex_;
  std::shared_ptr<asio::ssl::context> tls_;  // Null for none.
  std::shared_ptr<http::Acceptor> acceptor_;
  std::vector<std::unique_ptr<LoopConnections>> connections_;
  unsigned next_loop_ = 0;
  std::atomic<bool> is_stopped_{false};
  std::atomic<std::size_t> connections_max_;
  std::atomic<std::size_t> connections_open_{0};
  std::atomic<std::uint64_t> connections_total_{0};
  std::mutex mutex_;
  std::condition_variable all_closed_;
};

absl::StatusOr<std::function<void()>> Server::Impl::PrepareTls(const http::ServerTls& tls) {
  ASSIGN_OR_RETURN(std::shared_ptr<asio::ssl::context> made, http::MakeServerTls(tls));
  if (made != nullptr) SSL_CTX_set_alpn_select_cb(made->native_handle(), ChooseProtocol, nullptr);
  return [this, made] {
    const std::lock_guard lock(tls_mutex_);
    tls_ = made;
  };
}

absl::Status Server::Impl::Open() {
  ASSIGN_OR_RETURN(const auto use_tls, PrepareTls(options_.tls));
  use_tls();
  // Its callback goes with StopAccepting, before this object does.
  acceptor_ = std::make_shared<http::Acceptor>(
      loops_, [this](http::Descriptor descriptor, const sockaddr_storage&) {
        HandOver(std::move(descriptor));
      });
  RETURN_IF_ERROR(acceptor_->Open(options_.bind_address, options_.port));
  for (int i = 0; i < loops_.size(); ++i) {
    loops_.Post(i, [self = shared_from_this(), i] { self->SetTick(i); });
  }
  return absl::OkStatus();
}

void Server::Impl::SetTick(int loop) {
  if (is_stopped_) return;
  LoopConnections& connections = *connections_[loop];
  const Connection::Times times{options_.handshake_timeout, options_.idle_timeout,
                                options_.keepalive, options_.keepalive_timeout};
  const auto now = Connection::Clock::now();
  for (const auto& connection : connections.List()) connection->Tick(now, times);
  connections.tick =
      loops_.RunAfter(loop, kTick, [self = shared_from_this(), loop] { self->SetTick(loop); });
}

void Server::Impl::HandOver(http::Descriptor descriptor) {
  if (connections_open_ >= connections_max_) return;
  connections_open_.fetch_add(1);
  connections_total_.fetch_add(1, std::memory_order_relaxed);
  const int loop = static_cast<int>(next_loop_++ % loops_.size());
  loops_.Post(loop,
              [self = shared_from_this(), loop, descriptor = std::move(descriptor)]() mutable {
                self->Adopt(loop, std::move(descriptor));
              });
}

void Server::Impl::Adopt(int loop, http::Descriptor descriptor) {
  Connection::Socket socket(http::IoContextOf(loops_, loop));
  boost::system::error_code error;
  socket.assign(acceptor_->protocol(), descriptor.get(), error);
  if (error || is_stopped_) {
    if (!error) descriptor.Release();
    return OnConnectionClosed();
  }
  descriptor.Release();
  LoopConnections& connections = *connections_[loop];
  auto connection =
      std::make_shared<Connection>(std::move(socket), loop, options_.session, connections);
  if (options_.age_max > milliseconds(0)) {
    thread_local std::minstd_rand random(std::random_device{}());
    std::uniform_real_distribution<double> jitter(0.9, 1.1);
    connection->set_age_end(Connection::Clock::now() + std::chrono::duration_cast<milliseconds>(
                                                           options_.age_max * jitter(random)));
  }
  connection->session().set_peer(PeerOf(connection->transport().socket()));
  connections.Add(connection);
  std::shared_ptr<asio::ssl::context> tls;
  {
    const std::lock_guard lock(tls_mutex_);
    tls = tls_;
  }
  connection->Accept(tls.get());
}

void Server::Impl::OnConnectionClosed() {
  if (connections_open_.fetch_sub(1) > 1) return;
  const std::lock_guard lock(mutex_);
  all_closed_.notify_all();
}

bool Server::Impl::Drain(milliseconds deadline) {
  AssertMayBlock("h2::Server::Drain");
  const auto end = std::chrono::steady_clock::now() + deadline;
  StopAccepting();
  for (int i = 0; i < loops_.size(); ++i) {
    loops_.RunAndWait(i, [this, i] {
      for (const auto& connection : connections_[i]->List()) connection->BeginDrain();
    });
  }
  std::unique_lock lock(mutex_);
  return all_closed_.wait_until(lock, end, [this] { return connections_open_ == 0; });
}

void Server::Impl::Stop() {
  if (is_stopped_.exchange(true)) return;
  StopAccepting();
  for (int i = 0; i < loops_.size(); ++i) {
    loops_.RunAndWait(i, [this, i] {
      if (connections_[i]->tick != nullptr) connections_[i]->tick->Cancel();
      for (const auto& connection : connections_[i]->List()) connection->Close();
    });
    // Handlers of operations that were aborted are behind this in the queue's order or before it.
    loops_.RunAndWait(i, [] {});
  }
}

ServerStats Server::Impl::Stats() const {
  ServerStats stats;
  stats.connections_open = connections_open_;
  stats.connections_total = connections_total_;
  for (const auto& connections : connections_) stats.requests_total += connections->requests();
  return stats;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(http::EventLoops& loops, Options options,
                                                      RequestHandler handler) {
  auto impl = std::make_shared<Impl>(loops, std::move(options), std::move(handler));
  RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(); }
std::uint16_t Server::port() const { return impl_->port(); }
ServerStats Server::Stats() const { return impl_->Stats(); }
absl::StatusOr<std::function<void()>> Server::PrepareTls(const http::ServerTls& tls) {
  return impl_->PrepareTls(tls);
}
void Server::SetConnectionsMax(std::size_t max) { impl_->SetConnectionsMax(max); }
void Server::StopAccepting() { impl_->StopAccepting(); }
bool Server::Drain(milliseconds deadline) { return impl_->Drain(deadline); }
void Server::Stop() { impl_->Stop(); }

}  // namespace penstock::h2
