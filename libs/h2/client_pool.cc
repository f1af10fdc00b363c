#include "libs/h2/client_pool.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "libs/http/event_loops_asio.h"

namespace penstock::h2 {
namespace {

// How soon servers of a name that did not answer are tried again.
constexpr std::chrono::seconds kSpreadAgain{10};

}  // namespace

ClientPool::ClientPool(std::shared_ptr<const ClientContext> context, int loop)
    : context_(std::move(context)), loop_(loop) {
  for (const std::string& address : context_->options.addresses) {
    targets_.emplace_back().address = address;
  }
}

Stream& ClientPool::Open(Fields head, bool end, StreamHandler* handler) {
  auto* const stream = new Stream(loop_);
  stream->handler_ = handler;
  stream->head_ = std::move(head);
  stream->has_ended_ = end;
  if (StartNow(stream)) return *stream;
  stream->waiting_room_ = this;
  waiting_.push_back(stream);
  const bool can_wait = IsConnecting() && waiting_.size() <= context_->options.waiting_max;
  if (!can_wait && !std::exchange(is_fail_posted_, true)) {
    boost::asio::post(http::IoContextOf(context_->loops, loop_), [self = shared_from_this()] {
      self->is_fail_posted_ = false;
      self->FailWaiting(self->IsConnecting() ? self->context_->options.waiting_max : 0);
    });
  }
  return *stream;
}

bool ClientPool::StartNow(Stream* stream) {
  if (is_stopped_) return false;
  while (Connection* const connection = Pick()) {
    if (Start(*connection, stream)) return true;
    // It has no stream id left.
    connection->session().FinishGoaway();
    OnGoaway(*connection);
  }
  return false;
}

bool ClientPool::Start(Connection& connection, Stream* stream) {
  const Fields head = std::exchange(stream->head_, {});
  // A body that is complete and empty is none.
  const bool end = stream->has_ended_ && stream->queued_ == 0 && !stream->trailers_;
  const bool has_ended = stream->has_ended_;
  if (!connection.session().Open(stream, head, end)) {
    stream->head_ = head;
    return false;
  }
  stream->has_ended_ = has_ended;
  return true;
}

Connection* ClientPool::Pick() {
  const ClientOptions& options = context_->options;
  std::size_t links = 0;
  for (const Target& target : targets_) links += target.links.size();
  if (++turn_ >= links) turn_ = 0;
  Connection* best = nullptr;
  // By whether its limit is known (a server may refuse what comes before it said so), then by
  // streams, then by whose turn it is.
  std::tuple<bool, std::size_t, std::size_t> best_rank;
  std::size_t index = 0;
  const auto now = Clock::now();
  for (Target& target : targets_) {
    bool has_room = false;
    for (const Link& link : target.links) {
      // One that is ending tells its streams so, and they may open others.
      if (link.connection->is_closed()) continue;
      const Session& session = link.connection->session();
      const std::size_t limit =
          std::min<std::size_t>(options.streams_per_connection, session.peer_streams_max());
      has_room |= session.streams() < limit;
      const std::tuple rank{!session.has_peer_settings(), session.streams(),
                            (index++ + links - turn_) % links};
      if (best == nullptr || rank < best_rank) {
        best = link.connection.get();
        best_rank = rank;
      }
    }
    const bool spreads = has_room && Spreads(target, now);
    const std::size_t links_max = options.connections_per_address_max * target.servers;
    if ((!has_room || spreads) && target.connector == nullptr && now >= target.retry_at &&
        target.links.size() < links_max) {
      Connect(target, spreads);
    }
  }
  return best;
}

bool ClientPool::Spreads(const Target& target, Clock::time_point now) const {
  if (target.servers == 1 || now < target.spread_at) return false;
  std::set<std::string_view> servers;
  for (const Link& link : target.links) servers.insert(link.server);
  return servers.size() < target.servers;
}

bool ClientPool::IsConnecting() const {
  return std::any_of(targets_.begin(), targets_.end(),
                     [](const Target& target) { return target.connector != nullptr; });
}

void ClientPool::Connect(Target& target, bool only_others) {
  target.connector = std::make_shared<Connector>(context_, loop_, *this);
  std::vector<std::string> used;
  for (const Link& link : target.links) used.push_back(link.server);
  // The targets live as long as the pool does.
  target.connector->Start(
      target.address, std::move(used), only_others,
      [self = shared_from_this(), &target, only_others](absl::StatusOr<Connector::Made> made) {
        self->OnConnected(target, only_others, std::move(made));
      });
}

void ClientPool::OnConnected(Target& target, bool only_others,
                             absl::StatusOr<Connector::Made> made) {
  const ClientOptions& options = context_->options;
  target.connector.reset();
  if (!made.ok() && only_others) {
    target.spread_at = Clock::now() + kSpreadAgain;
    if (!target.links.empty()) return StartWaiting();
  }
  last_error_ = made.status();
  if (made.ok()) {
    target.backoff = {};
    target.servers = made->servers;
    target.links.push_back({std::move(made->connection), std::move(made->server)});
    return StartWaiting();
  }
  target.backoff = target.backoff.count() == 0 ? options.backoff_initial
                                               : std::min(2 * target.backoff, options.backoff_max);
  target.retry_at = Clock::now() + target.backoff;
  const bool has_connection = std::any_of(targets_.begin(), targets_.end(),
                                          [](const Target& other) { return !other.links.empty(); });
  if (has_connection) return StartWaiting();
  if (!IsConnecting()) FailWaiting(0);
}

void ClientPool::StartWaiting() {
  while (!waiting_.empty() && StartNow(waiting_.front())) waiting_.pop_front();
}

void ClientPool::FailWaiting(std::size_t kept) {
  // A handler may open streams, which then wait for the next try, and reset others of these.
  for (std::size_t left = waiting_.size(); left > 0 && waiting_.size() > kept; --left) {
    Stream* const stream = waiting_.front();
    waiting_.pop_front();
    StreamHandler* const handler = stream->handler_;
    delete stream;
    if (handler != nullptr) handler->OnClosed(ErrorCode::kConnectionLost);
  }
}

void ClientPool::Forget(Stream& stream) { waiting_.remove(&stream); }

void ClientPool::OnRequest(Stream&, Fields, bool) {}

void ClientPool::OnGoaway(Connection& connection) {
  for (Target& target : targets_) {
    const auto found =
        std::find_if(target.links.begin(), target.links.end(),
                     [&](const Link& link) { return link.connection.get() == &connection; });
    if (found == target.links.end()) continue;
    leaving_.push_back(std::move(found->connection));
    target.links.erase(found);
    return;
  }
}

void ClientPool::OnClosed(Connection& connection) {
  for (Target& target : targets_) {
    std::erase_if(target.links,
                  [&](const Link& link) { return link.connection.get() == &connection; });
  }
  std::erase_if(leaving_, [&](const std::shared_ptr<Connection>& other) {
    return other.get() == &connection;
  });
}

void ClientPool::Stop() {
  is_stopped_ = true;
  std::vector<std::shared_ptr<Connection>> all = leaving_;
  for (Target& target : targets_) {
    if (target.connector != nullptr) target.connector->Cancel();
    target.connector.reset();
    for (const Link& link : target.links) all.push_back(link.connection);
  }
  for (const std::shared_ptr<Connection>& connection : all) connection->Close();
  FailWaiting(0);
}

}  // namespace penstock::h2
