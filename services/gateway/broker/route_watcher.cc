#include "services/gateway/broker/route_watcher.h"

#include <penstock/internal/v1/routes.pb.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "libs/log/log.h"
#include "libs/rpc/bidi_client.h"

namespace penstock::gateway {
namespace {

namespace pb = penstock::internal::v1;
// A call with one message up is, on the wire, the server stream that it is for the broker.
using Stream = rpc::BidiClient<pb::WatchRoutesRequest, pb::WatchRoutesResponse>;

constexpr char kMethod[] = "/penstock.internal.v1.RouteService/WatchRoutes";
constexpr Microseconds kDelayInitial{100'000};
constexpr Microseconds kDelayMax{1'000'000};

RouteUpdate FromProto(const pb::RouteChange& change) {
  const pb::Route& route = change.route();
  RouteUpdate update;
  update.deleted = change.deleted();
  update.route.subscription = route.subscription();
  update.route.method = route.method();
  update.route.path = route.path();
  update.route.host = route.host();
  update.route.function = route.function();
  update.route.publish = route.publish();
  return update;
}

}  // namespace

// Kept alive by the stream's callbacks and by timers.
class RouteWatcher::Watch : public std::enable_shared_from_this<Watch> {
 public:
  Watch(rpc::LazyChannel& channel, std::shared_ptr<const rpc::PeerAuth> peer_auth, RouteBook& book,
        http::EventLoops& loops)
      : channel_(channel), peer_auth_(std::move(peer_auth)), book_(book), loops_(loops) {}

  void Open() {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      open_ = true;
    }
    auto channel = channel_.Get();
    if (!channel.ok()) return OnEnd(channel.status());
    snapshot_.reset();
    rpc::CallOptions call;
    call.peer_auth = peer_auth_;
    const auto self = shared_from_this();
    Stream::Handlers handlers;
    handlers.fill = [revision = book_.revision(),
                     sent = false](pb::WatchRoutesRequest& message) mutable {
      if (std::exchange(sent, true)) return false;
      message.set_from_revision(revision);
      return true;
    };
    handlers.on_message = [self](pb::WatchRoutesResponse& message) { self->OnMessage(message); };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata&) {
      self->OnEnd(status);
    };
    const auto stream = Stream::Start(*channel, kMethod, call, std::move(handlers));
    stream->Notify();
    stream->WritesDone();
    bool is_stopping = false;
    {
      const std::lock_guard lock(mutex_);
      if (open_) stream_ = stream;
      is_stopping = stopping_;
    }
    if (is_stopping) stream->Cancel();
  }

  bool connected() const {
    const std::lock_guard lock(mutex_);
    return connected_;
  }

  void Stop() {
    std::shared_ptr<Stream> stream;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      stream = stream_;
      if (timer_ != nullptr) timer_->Cancel();
    }
    if (stream) stream->Cancel();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return !open_; });
  }

 private:
  void OnMessage(const pb::WatchRoutesResponse& message) {
    std::vector<RouteUpdate> updates;
    for (const auto& change : message.changes()) updates.push_back(FromProto(change));
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (!connected_) {
        log::Info("watching routes",
                  {{"address", channel_.address()}, {"revision", message.revision()}});
      }
      connected_ = true;
      delay_ = kDelayInitial;
    }
    if (message.snapshot_begin()) snapshot_.emplace();
    if (!snapshot_) return book_.ApplyChanges(std::move(updates), message.revision());
    std::move(updates.begin(), updates.end(), std::back_inserter(*snapshot_));
    if (!message.snapshot_end()) return;
    book_.ApplySnapshot(*std::move(snapshot_), message.revision());
    snapshot_.reset();
  }

  void OnEnd(const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    stream_.reset();
    const bool was_connected = std::exchange(connected_, false);
    open_ = false;
    ended_.notify_all();
    if (stopping_) return;
    if (was_connected) {
      log::Warn("the watch of routes ended; going on with those known",
                {{"address", channel_.address()}, {"error", status}});
    } else {
      log::Warn(retry_log_, "routes cannot be watched",
                {{"address", channel_.address()}, {"error", status}});
    }
    timer_ = loops_.RunAfter(0, delay_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Open();
    });
    delay_ = std::min(delay_ * 2, kDelayMax);
  }

  rpc::LazyChannel& channel_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  RouteBook& book_;
  http::EventLoops& loops_;
  log::Every retry_log_{std::chrono::seconds(10)};
  // Of the open stream: the snapshot that is coming in.
  std::optional<std::vector<RouteUpdate>> snapshot_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  Microseconds delay_ = kDelayInitial;
  bool stopping_ = false;
  bool open_ = false;  // A stream has not reported its end.
  bool connected_ = false;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<http::Cancelable> timer_;
};

RouteWatcher::RouteWatcher(rpc::LazyChannel& channel,
                           std::shared_ptr<const rpc::PeerAuth> peer_auth, RouteBook& book,
                           http::EventLoops& loops)
    : watch_(std::make_shared<Watch>(channel, std::move(peer_auth), book, loops)) {}

RouteWatcher::~RouteWatcher() { Stop(); }

void RouteWatcher::Start() { watch_->Open(); }

bool RouteWatcher::connected() const { return watch_->connected(); }

void RouteWatcher::Stop() { watch_->Stop(); }

}  // namespace penstock::gateway
