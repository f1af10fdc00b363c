#include "services/function-executor/registry/function_watcher.h"

#include <penstock/internal/v1/registry.pb.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/log/log.h"
#include "libs/rpc/bidi_client.h"
#include "libs/rpc/channel.h"
#include "services/function-executor/registry/function_from_proto.h"

namespace penstock::executor {
namespace {

using internal::v1::WatchFunctionsRequest;
using internal::v1::WatchFunctionsResponse;
// A call with one message up is, on the wire, the server stream that it is for the manager.
using Stream = rpc::BidiClient<WatchFunctionsRequest, WatchFunctionsResponse>;

constexpr char kMethod[] = "/penstock.internal.v1.FunctionRegistryService/WatchFunctions";

}  // namespace

// The state of the watch, kept alive by the stream's callbacks and by timers.
class FunctionWatcher::Watch : public std::enable_shared_from_this<Watch> {
 public:
  Watch(Options options, FunctionRegistry& registry, Timers& timers)
      : options_(std::move(options)),
        registry_(registry),
        timers_(timers),
        channel_(options_.address),
        delay_(options_.delay_initial) {}

  void Open() {
    auto channel = channel_.Get();
    if (!channel.ok()) return OnEnd(channel.status());
    auto request = std::make_shared<WatchFunctionsRequest>();
    request->set_from_revision(registry_.revision());
    snapshot_.reset();
    rpc::CallOptions call;
    call.peer_auth = options_.peer_auth;
    Stream::Handlers handlers;
    const auto self = shared_from_this();
    handlers.fill = [request, sent = false](WatchFunctionsRequest& message) mutable {
      if (std::exchange(sent, true)) return false;
      message = *request;
      return true;
    };
    handlers.on_message = [self](WatchFunctionsResponse& message) { self->OnMessage(message); };
    handlers.on_done = [self](const absl::Status& status, const rpc::ResponseMetadata&) {
      self->OnEnd(status);
    };
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      open_ = true;
    }
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
    std::shared_ptr<Timers::Handle> timer;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      stream = stream_;
      timer = std::move(timer_);
    }
    if (timer) timer->Cancel();
    if (stream) stream->Cancel();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return !open_; });
  }

 private:
  void OnMessage(const WatchFunctionsResponse& message) {
    std::vector<FunctionUpdate> updates;
    updates.reserve(message.changes_size());
    for (const auto& change : message.changes()) {
      auto update = FunctionFromProto(change);
      if (update.ok()) {
        updates.push_back(*std::move(update));
      } else {
        log::Error("a function of the function-manager was ignored", {{"error", update.status()}});
      }
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (!connected_) {
        log::Info("watching functions",
                  {{"address", options_.address}, {"revision", message.revision()}});
      }
      connected_ = true;
      delay_ = options_.delay_initial;
    }
    if (message.snapshot_begin()) snapshot_.emplace();
    if (!snapshot_) {
      if (options_.on_updates) options_.on_updates(updates, false);
      return registry_.ApplyChanges(std::move(updates), message.revision());
    }
    std::move(updates.begin(), updates.end(), std::back_inserter(*snapshot_));
    if (!message.snapshot_end()) return;
    if (options_.on_updates) options_.on_updates(*snapshot_, true);
    registry_.ApplySnapshot(*std::move(snapshot_), message.revision());
    snapshot_.reset();
  }

  void OnEnd(const absl::Status& status) {
    Microseconds delay{0};
    bool was_connected = false;
    {
      const std::lock_guard lock(mutex_);
      stream_.reset();
      was_connected = std::exchange(connected_, false);
      if (stopping_) {
        open_ = false;
        ended_.notify_all();
        return;
      }
      delay = delay_;
      delay_ = std::min(delay_ * 2, options_.delay_max);
    }
    if (was_connected) {
      log::Warn("the watch of functions ended; going on with those known",
                {{"address", options_.address}, {"error", status}});
    } else {
      log::Warn(retry_log_, "functions cannot be watched",
                {{"address", options_.address}, {"error", status}});
    }
    auto timer = timers_.RunAfter(delay, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Open();
    });
    const std::lock_guard lock(mutex_);
    open_ = false;
    ended_.notify_all();
    if (stopping_) {
      timer->Cancel();
    } else {
      timer_ = std::move(timer);
    }
  }

  const Options options_;
  FunctionRegistry& registry_;
  Timers& timers_;
  rpc::LazyChannel channel_;
  log::Every retry_log_{std::chrono::seconds(10)};
  // Of the open stream: the snapshot that is coming in.
  std::optional<std::vector<FunctionUpdate>> snapshot_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  Microseconds delay_;
  bool stopping_ = false;
  bool open_ = false;  // A stream has not reported its end.
  bool connected_ = false;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<Timers::Handle> timer_;
};

FunctionWatcher::FunctionWatcher(Options options, FunctionRegistry& registry, Timers& timers)
    : watch_(std::make_shared<Watch>(std::move(options), registry, timers)) {}

FunctionWatcher::~FunctionWatcher() { Stop(); }

void FunctionWatcher::Start() { watch_->Open(); }

bool FunctionWatcher::connected() const { return watch_->connected(); }

void FunctionWatcher::Stop() { watch_->Stop(); }

}  // namespace penstock::executor
