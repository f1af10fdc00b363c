#include "libs/rpc/watchdog.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/server_builder.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/rpc/server_plugins.h"

namespace penstock::rpc {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

// What a probe that is still out shares with the watchdog, which may be gone by then.
struct Measured {
  void Done() {
    const std::lock_guard lock(mutex);
    outstanding = false;
    last = duration_cast<microseconds>(steady_clock::now() - issued);
    max = std::max(max, last);
    wake.notify_all();
  }

  mutable std::mutex mutex;
  std::condition_variable wake;
  steady_clock::time_point issued;
  bool outstanding = false;
  bool stopping = false;
  microseconds last{0};
  microseconds max{0};
};

// A server of its own whose every method answers UNIMPLEMENTED: the shortest way through the
// callback threads.
struct Watchdog::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    grpc::ServerBuilder builder;
    builder.SetOption(ServerPlugins(/*reflection=*/false, nullptr));
    builder.RegisterCallbackGenericService(&service);
    server = builder.BuildAndStart();
    channel = server->InProcessChannel(grpc::ChannelArguments());
  }

  void Run() {
    pthread_setname_np(pthread_self(), "rpc-watchdog");
    std::unique_lock lock(shared->mutex);
    while (!shared->stopping) {
      Probe(lock);
      shared->wake.wait_for(lock, options.interval, [this] { return shared->stopping; });
    }
  }

  // One probe at a time: a hang must not pile up calls.
  void Probe(std::unique_lock<std::mutex>& lock) {
    const auto over = [this] { return !shared->outstanding || shared->stopping; };
    shared->issued = steady_clock::now();
    shared->outstanding = true;
    lock.unlock();
    Send();
    lock.lock();
    const bool in_time = shared->wake.wait_until(lock, shared->issued + options.late_after, over);
    if (!in_time && options.on_late) {
      const auto lag = duration_cast<microseconds>(steady_clock::now() - shared->issued);
      lock.unlock();
      options.on_late(lag);
      lock.lock();
    }
    shared->wake.wait(lock, over);
  }

  void Send() {
    struct Call {
      grpc::ClientContext context;
      grpc::Slice nothing;
      grpc::ByteBuffer request{&nothing, 1};  // Without a slice it would be no message at all.
      grpc::ByteBuffer response;
    };
    auto call = std::make_shared<Call>();
    grpc::GenericStub(channel).UnaryCall(
        &call->context, "/penstock.Watchdog/Probe", grpc::StubOptions(), &call->request,
        &call->response, [shared = shared, call](const grpc::Status&) { shared->Done(); });
  }

  const Options options;
  const std::shared_ptr<Measured> shared = std::make_shared<Measured>();
  grpc::CallbackGenericService service;
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::mutex stop_mutex;
  std::thread thread;
};

Watchdog::Watchdog(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

Watchdog::~Watchdog() { Stop(); }

microseconds Watchdog::TakeMaxLag() {
  Measured& shared = *impl_->shared;
  const std::lock_guard lock(shared.mutex);
  microseconds lag = std::exchange(shared.max, microseconds(0));
  if (shared.outstanding) {
    lag = std::max(lag, duration_cast<microseconds>(steady_clock::now() - shared.issued));
  }
  return lag;
}

microseconds Watchdog::last_lag() const {
  const std::lock_guard lock(impl_->shared->mutex);
  return impl_->shared->last;
}

void Watchdog::Stop() {
  AssertMayBlock("watchdog stop");
  const std::lock_guard stop_lock(impl_->stop_mutex);
  {
    const std::lock_guard lock(impl_->shared->mutex);
    impl_->shared->stopping = true;
  }
  impl_->shared->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace penstock::rpc
