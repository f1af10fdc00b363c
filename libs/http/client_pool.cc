#include "libs/http/client_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/http/client_connection.h"
#include "libs/http/event_loops_asio.h"

namespace penstock::http {
namespace {

absl::Status Canceled() {
  return WithReason(absl::CancelledError("the request was cancelled"), kCanceled);
}

}  // namespace

std::string PoolKeyOf(const Url& url) {
  return fmt::format("{}{}:{}", url.is_tls ? "s" : "p", url.host, url.port);
}

ClientCall::ClientCall(ClientRequest client_request, Url parsed_url, std::string pool_key,
                       Client::Done on_done)
    : request(std::move(client_request)),
      url(std::move(parsed_url)),
      key(std::move(pool_key)),
      done(std::move(on_done)) {}

void ClientCall::Finish(absl::StatusOr<ClientResponse> result) {
  if (!done) return;
  Client::Done finished = std::exchange(done, nullptr);
  Drop();
  finished(std::move(result));
}

void ClientCall::Drop() {
  done = nullptr;
  timer.reset();
  connection.reset();
  stream.reset();
}

ClientPool::ClientPool(std::shared_ptr<ClientContext> context, int loop)
    : context_(std::move(context)),
      loop_(loop),
      connections_max_(
          std::max(1, context_->options.connections_per_host_max / context_->loops.size())) {}

void ClientPool::Start(std::shared_ptr<ClientCall> call) {
  requests_.fetch_add(1, std::memory_order_relaxed);
  if (context_->stopped) return call->Finish(Canceled());
  if (call->stream == nullptr) StartTimer(call);
  Place(std::move(call));
}

void ClientPool::StartTimer(const std::shared_ptr<ClientCall>& call) {
  call->timer.emplace(IoContextOf(context_->loops, loop_), call->request.timeout);
  call->timer->async_wait([self = shared_from_this(), weak = std::weak_ptr<ClientCall>(call)](
                              const boost::system::error_code& error) {
    if (error) return;
    if (const std::shared_ptr<ClientCall> late = weak.lock()) self->OnTimeout(late);
  });
}

void ClientPool::Place(std::shared_ptr<ClientCall> call) {
  const std::string& key = call->key;
  Host& host = hosts_[key];
  // A retry is owed a fresh connection: the idle ones are as likely to be dead as the one that
  // failed.
  if (!call->is_retry || host.open >= connections_max_) {
    if (const std::shared_ptr<ClientConnection> connection = TakeIdle(key)) {
      if (!call->is_retry) {
        reused_.fetch_add(1, std::memory_order_relaxed);
        return connection->Send(std::move(call));
      }
      connection->Abandon(absl::OkStatus());
    }
  }
  Host& present = hosts_[key];
  if (present.open < connections_max_) return Connect(std::move(call));
  if (present.waiting.size() < context_->options.queue_per_host_max) {
    if (call->stream != nullptr) StartTimer(call);
    present.waiting.push_back(std::move(call));
    return;
  }
  call->Finish(WithReason(
      absl::ResourceExhaustedError(fmt::format("{} requests wait for a connection to {} already",
                                               present.waiting.size(), call->url.Authority())),
      kQueueFull));
}

// One that was closed meanwhile, or on which something waits that would be taken for the answer, is
// not given out.
std::shared_ptr<ClientConnection> ClientPool::TakeIdle(const std::string& key) {
  std::vector<std::shared_ptr<ClientConnection>>* idle = &hosts_[key].idle;
  while (!idle->empty()) {
    std::shared_ptr<ClientConnection> connection = std::move(idle->back());
    idle->pop_back();
    if (connection->IsAlive()) return connection;
    // Closing one may start a waiting request, so the map is looked up anew.
    connection->Abandon(absl::OkStatus());
    idle = &hosts_[key].idle;
  }
  return nullptr;
}

void ClientPool::Connect(std::shared_ptr<ClientCall> call) {
  auto connection = std::make_shared<ClientConnection>(shared_from_this(), call->url, call->key);
  ++hosts_[connection->key()].open;
  connections_.emplace(connection.get(), connection);
  opened_.fetch_add(1, std::memory_order_relaxed);
  connection->Connect(std::move(call));
}

void ClientPool::OnIdle(const std::shared_ptr<ClientConnection>& connection) {
  Host& host = hosts_[connection->key()];
  if (host.waiting.empty()) {
    host.idle.push_back(connection);
    return;
  }
  if (!connection->IsAlive()) return connection->Abandon(absl::OkStatus());
  std::shared_ptr<ClientCall> call = std::move(host.waiting.front());
  host.waiting.pop_front();
  reused_.fetch_add(1, std::memory_order_relaxed);
  connection->Send(std::move(call));
}

void ClientPool::OnClosed(const std::shared_ptr<ClientConnection>& connection) {
  const std::string key = connection->key();
  Host& host = hosts_[key];
  std::erase(host.idle, connection);
  connections_.erase(connection.get());
  --host.open;
  if (!host.waiting.empty() && host.open < connections_max_) {
    std::shared_ptr<ClientCall> call = std::move(host.waiting.front());
    host.waiting.pop_front();
    Connect(std::move(call));
  }
  EraseIfUnused(key);
}

void ClientPool::EraseIfUnused(const std::string& key) {
  const auto host = hosts_.find(key);
  if (host != hosts_.end() && host->second.open == 0 && host->second.waiting.empty()) {
    hosts_.erase(host);
  }
}

void ClientPool::Retry(std::shared_ptr<ClientCall> call) {
  retries_.fetch_add(1, std::memory_order_relaxed);
  call->is_retry = true;
  call->connection.reset();
  Place(std::move(call));
}

void ClientPool::OnTimeout(const std::shared_ptr<ClientCall>& call) {
  const std::string limit = fmt::format("{} ms", call->request.timeout.count());
  End(call,
      WithReason(absl::DeadlineExceededError(fmt::format(
                     "no connection to {} became free within {}", call->url.Authority(), limit)),
                 kQueueTimeout),
      WithReason(absl::DeadlineExceededError(fmt::format("no complete answer from {} within {}",
                                                         call->url.Authority(), limit)),
                 kResponseTimeout));
}

void ClientPool::Cancel(const std::shared_ptr<ClientCall>& call) {
  End(call, Canceled(), Canceled());
}

void ClientPool::End(const std::shared_ptr<ClientCall>& call, absl::Status while_queued,
                     absl::Status while_sent) {
  if (!call->done) return;
  if (const std::shared_ptr<ClientConnection> connection = call->connection.lock()) {
    const bool is_timeout = absl::IsDeadlineExceeded(while_sent);
    if (!is_timeout || connection->HasSent()) return connection->Abandon(while_sent);
    return connection->Abandon(WithReason(
        absl::UnavailableError(fmt::format("cannot connect to {} within {} ms",
                                           call->url.Authority(), call->request.timeout.count())),
        kConnectTimeout));
  }
  std::erase(hosts_[call->key].waiting, call);
  EraseIfUnused(call->key);
  call->Finish(std::move(while_queued));
}

void ClientPool::Stop() {
  for (auto& [key, host] : hosts_) {
    const std::deque<std::shared_ptr<ClientCall>> waiting = std::exchange(host.waiting, {});
    for (const std::shared_ptr<ClientCall>& call : waiting) call->Finish(Canceled());
  }
  const auto connections = connections_;
  for (const auto& entry : connections) entry.second->Abandon(Canceled());
}

void ClientPool::RenewConnections() {
  ++epoch_;
  std::vector<std::shared_ptr<ClientConnection>> unused;
  for (auto& [key, host] : hosts_) {
    for (auto& connection : std::exchange(host.idle, {})) unused.push_back(std::move(connection));
  }
  // Closing one may change the map.
  for (const auto& connection : unused) connection->Abandon(absl::OkStatus());
}

void ClientPool::AddStats(ClientStats& stats) const {
  stats.requests_total += requests_;
  stats.connections_opened_total += opened_;
  stats.connections_reused_total += reused_;
  stats.retries_total += retries_;
}

}  // namespace penstock::http
