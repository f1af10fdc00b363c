#include "libs/rpc/callback_threads.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <utility>

#include "libs/rpc/channel.h"
#include "libs/rpc/unary_call.h"

namespace penstock::rpc {
namespace {

// Without KeepCallbackThreads a process without other channels aborts within a few rounds.
TEST(CallbackThreadsTest, TheLastChannelMayEndOnOneOfThem) {
  const grpc::Slice slice("x", 1);
  const grpc::ByteBuffer request(&slice, 1);
  for (int round = 0; round < 200; ++round) {
    auto channel = MakeChannel("127.0.0.1:1", {});
    ASSERT_TRUE(channel.ok()) << channel.status();
    std::promise<absl::StatusCode> ended;
    CallUnary<grpc::ByteBuffer>(
        *channel, "/a.B/C", request, {},
        [&ended, last = *channel](const absl::StatusOr<grpc::ByteBuffer>& answer,
                                  const ResponseMetadata&) {
          ended.set_value(answer.status().code());
        });
    *channel = nullptr;
    EXPECT_EQ(ended.get_future().get(), absl::StatusCode::kUnavailable);
  }
}

}  // namespace
}  // namespace penstock::rpc
