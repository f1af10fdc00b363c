#include "libs/rpc/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class WatchdogTest : public EchoTest {};
INSTANTIATE_TRANSPORTS(WatchdogTest);

TEST_P(WatchdogTest, SeesThatTheCallbackThreadsHangWhileTheyDo) {
  std::atomic<int> late = 0;
  Watchdog watchdog({.interval = milliseconds(1),
                     .late_after = milliseconds(50),
                     .on_late = [&](microseconds) { ++late; }});
  ASSERT_TRUE(Eventually([&] { return watchdog.last_lag() > microseconds(0); }));
  EXPECT_EQ(late, 0);

  // More calls than the library has threads, each holding one.
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  service_.on_echo = [released](const EchoRequest&, EchoResponse*, CallContext&,
                                const ServerDone& done) {
    released.wait();
    done(absl::OkStatus());
  };
  constexpr int kCalls = 20;
  std::atomic<int> answered = 0;
  for (int i = 0; i < kCalls; ++i) {
    CallUnary<EchoResponse>(
        channel_, kEcho, EchoRequest(), {},
        [&](absl::StatusOr<EchoResponse>, const ResponseMetadata&) { ++answered; });
  }
  EXPECT_TRUE(Eventually([&] { return watchdog.TakeMaxLag() >= milliseconds(50); }));
  EXPECT_TRUE(Eventually([&] { return late > 0; }));
  release.set_value();
  EXPECT_TRUE(Eventually([&] { return answered == kCalls; }));
  watchdog.Stop();
}

}  // namespace
}  // namespace penstock::rpc
