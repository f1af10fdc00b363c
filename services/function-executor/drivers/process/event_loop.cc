#include "services/function-executor/drivers/process/event_loop.h"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include "libs/base/callback_guard.h"

namespace penstock::executor {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

}  // namespace

struct EventLoop::Impl {
  // One thread: Asio may leave out the locks that it would need for several.
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::mutex stop_mutex;
  std::thread thread;
};

EventLoop::EventLoop(const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([impl = impl_.get(), name] {
    ::pthread_setname_np(::pthread_self(), name.c_str());
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const CallbackScope scope;
    impl->io.run();
  });
}

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Post(std::function<void()> function) { asio::post(impl_->io, std::move(function)); }

void EventLoop::Stop() {
  const std::lock_guard lock(impl_->stop_mutex);
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

struct EventLoop::Timer::Impl {
  explicit Impl(asio::io_context& io) : timer(io) {}

  asio::steady_timer timer;
  // Tells a timer that is due, but was set anew before its handler ran, from the newest one.
  std::uint64_t generation = 0;
};

EventLoop::Timer::Timer(EventLoop& loop) : impl_(std::make_shared<Impl>(loop.impl_->io)) {}

EventLoop::Timer::~Timer() {
  if (impl_) Cancel();
}

EventLoop::Timer::Timer(Timer&&) noexcept = default;

void EventLoop::Timer::Set(Microseconds delay, std::function<void()> function) {
  const std::uint64_t generation = ++impl_->generation;
  impl_->timer.expires_after(delay);
  impl_->timer.async_wait(
      [impl = impl_, generation, function = std::move(function)](error_code error) {
        if (!error && generation == impl->generation) function();
      });
}

void EventLoop::Timer::Cancel() {
  ++impl_->generation;
  impl_->timer.cancel();
}

struct EventLoop::Descriptor::Impl {
  explicit Impl(asio::io_context& io) : stream(io) {}

  asio::posix::stream_descriptor stream;
};

EventLoop::Descriptor::Descriptor(EventLoop& loop, UniqueFd fd)
    : impl_(std::make_shared<Impl>(loop.impl_->io)) {
  error_code error;
  impl_->stream.assign(fd.get(), error);
  // Only running out of memory or of epoll watches makes this fail: then it is as if it were
  // closed.
  if (!error) fd.Release();
}

EventLoop::Descriptor::~Descriptor() {
  if (impl_) Close();
}

EventLoop::Descriptor::Descriptor(Descriptor&&) noexcept = default;

int EventLoop::Descriptor::fd() const {
  return impl_->stream.is_open() ? impl_->stream.native_handle() : -1;
}

void EventLoop::Descriptor::WhenReadable(std::function<void()> function) {
  impl_->stream.async_wait(asio::posix::descriptor_base::wait_read,
                           [impl = impl_, function = std::move(function)](error_code error) {
                             if (!error && impl->stream.is_open()) function();
                           });
}

void EventLoop::Descriptor::WhenWritable(std::function<void()> function) {
  impl_->stream.async_wait(asio::posix::descriptor_base::wait_write,
                           [impl = impl_, function = std::move(function)](error_code error) {
                             if (!error && impl->stream.is_open()) function();
                           });
}

void EventLoop::Descriptor::Close() {
  error_code error;
  impl_->stream.close(error);
}

}  // namespace penstock::executor
