#include "libs/http/server.h"

#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <tuple>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/http/acceptor_asio.h"
#include "libs/http/connection.h"
#include "libs/http/event_loops_asio.h"
#include "libs/http/tls_context_asio.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// Connections above the limit that are told so; those above this too are closed at once.
constexpr std::size_t kRefusedMax = 64;
}  // namespace

// Spreads connections over all loops.
class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(EventLoops& loops, std::shared_ptr<const ServerSettings> settings, Handler handler)
      : context_(std::make_shared<ServerContext>(loops, settings)), settings_(std::move(settings)) {
    context_->handler = std::move(handler);
  }

  absl::Status Open();
  const ServerOptions& options() const { return settings_->options; }
  void Update(std::shared_ptr<const ServerSettings> settings);
  void StopAccepting();
  bool Drain(std::chrono::milliseconds deadline);
  void Stop();
  ServerStats Stats() const;
  std::uint16_t port() const { return acceptor_->port(); }

 private:
  void HandOver(Descriptor descriptor, const sockaddr_storage& address);

  const std::shared_ptr<ServerContext> context_;
  // As the loops have it.
  std::shared_ptr<const ServerSettings> settings_;
  std::shared_ptr<Acceptor> acceptor_;
  unsigned next_loop_ = 0;
};

absl::Status Server::Impl::Open() {
  // Its callback goes with StopAccepting, before this object does.
  acceptor_ = std::make_shared<Acceptor>(
      context_->loops, [this](Descriptor descriptor, const sockaddr_storage& peer) {
        HandOver(std::move(descriptor), peer);
      });
  return acceptor_->Open(options().bind_address, options().port);
}

void Server::Impl::Update(std::shared_ptr<const ServerSettings> settings) {
  settings_ = std::move(settings);
  context_->settings.Exchange(settings_);
}

void Server::Impl::HandOver(Descriptor descriptor, const sockaddr_storage& address) {
  const std::size_t open = context_->connections_open.load();
  const std::size_t limit = context_->settings.Get()->options.limits.connections_max;
  if (open >= limit + kRefusedMax) return;
  context_->connections_open.fetch_add(1);
  context_->connections_total.fetch_add(1, std::memory_order_relaxed);
  const int loop = static_cast<int>(next_loop_++ % context_->loops.size());
  Request peer;
  std::tie(peer.remote_address, peer.remote_port) = AddressOf(address);
  context_->loops.Post(
      loop, [context = context_, loop, protocol = acceptor_->protocol(), refuse = open >= limit,
             peer = std::move(peer), descriptor = std::move(descriptor)]() mutable {
        Tcp::socket socket(IoContextOf(context->loops, loop));
        ErrorCode error;
        socket.assign(protocol, descriptor.get(), error);
        if (!error) descriptor.Release();
        peer.is_tls = context->settings.Get(loop)->tls != nullptr;
        auto connection =
            std::make_shared<Connection>(context, loop, std::move(socket), std::move(peer));
        connection->Start(refuse);
        if (error || !context->handler) connection->Close();
      });
}

void Server::Impl::StopAccepting() { acceptor_->Close(); }

bool Server::Impl::Drain(std::chrono::milliseconds deadline) {
  AssertMayBlock("Server::Drain");
  const auto end = std::chrono::steady_clock::now() + deadline;
  StopAccepting();
  context_->draining = true;
  for (int i = 0; i < context_->loops.size(); ++i) {
    context_->loops.RunAndWait(i, [this, i] {
      const auto connections = context_->loop_states[i].connections;
      for (const auto& entry : connections) entry.second->BeginDrain();
    });
  }
  std::unique_lock lock(context_->mutex);
  return context_->all_closed.wait_until(lock, end,
                                         [this] { return context_->connections_open == 0; });
}

void Server::Impl::Stop() {
  StopAccepting();
  for (int i = 0; i < context_->loops.size(); ++i) {
    context_->loops.RunAndWait(i, [this, i] {
      const auto connections = context_->loop_states[i].connections;
      for (const auto& entry : connections) entry.second->Close();
    });
  }
  // All loops are past their last use; an exchange that someone still holds must not keep the
  // handler alive.
  context_->handler = nullptr;
}

ServerStats Server::Impl::Stats() const {
  ServerStats stats;
  stats.connections_open = context_->connections_open;
  stats.connections_total = context_->connections_total;
  for (const ServerContext::LoopState& loop : context_->loop_states) {
    stats.requests_total += loop.requests;
    stats.refusals_total += loop.refusals;
    for (std::size_t i = 0; i < loop.responses.size(); ++i) {
      stats.responses_total[i] += loop.responses[i];
    }
    stats.bytes_received += loop.bytes_received;
    stats.bytes_sent += loop.bytes_sent;
  }
  return stats;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(EventLoops& loops, Options options,
                                                      Handler handler) {
  ServerSettings settings{.options = std::move(options), .tls = nullptr};
  ASSIGN_OR_RETURN(settings.tls, MakeServerTls(settings.options.tls));
  auto impl = std::make_shared<Impl>(
      loops, std::make_shared<const ServerSettings>(std::move(settings)), std::move(handler));
  RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(); }
std::uint16_t Server::port() const { return impl_->port(); }
ServerStats Server::Stats() const { return impl_->Stats(); }

absl::StatusOr<std::function<void()>> Server::PrepareUpdate(const ServerLimits& limits,
                                                            const ServerTimeouts& timeouts,
                                                            const ServerTls& tls) {
  ServerSettings next{.options = impl_->options(), .tls = nullptr};
  next.options.limits = limits;
  next.options.timeouts = timeouts;
  next.options.tls = tls;
  ASSIGN_OR_RETURN(next.tls, MakeServerTls(tls));
  return [impl = impl_, settings = std::make_shared<const ServerSettings>(std::move(next))] {
    impl->Update(settings);
  };
}

void Server::StopAccepting() { impl_->StopAccepting(); }
bool Server::Drain(std::chrono::milliseconds deadline) { return impl_->Drain(deadline); }
void Server::Stop() { impl_->Stop(); }

}  // namespace penstock::http
