#include "libs/rpc/server_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "libs/base/status.h"
#include "libs/rpc/generic_call.h"
#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

// A client of Count that keeps what it got.
struct Client {
  std::shared_ptr<GenericStream> stream;
  std::vector<std::int64_t> numbers;  // Written in reactions; read after `done`.
  std::atomic<int> received = 0;
  std::promise<absl::Status> done;
};

class ServerStreamTest : public EchoTest {
 protected:
  // `on_message` runs after each message was kept.
  std::shared_ptr<Client> Start(std::int64_t credit, const CallOptions& options = {},
                                const std::function<void(Client&)>& on_message = nullptr) {
    auto client = std::make_shared<Client>();
    GenericStreamHandlers handlers;
    handlers.on_message = [client, on_message](google::protobuf::Message& message) {
      client->numbers.push_back(static_cast<EchoResponse&>(message).number());
      ++client->received;
      if (on_message) on_message(*client);
    };
    handlers.on_done = [client](absl::Status status, const ResponseMetadata&) {
      client->done.set_value(std::move(status));
    };
    client->stream =
        GenericStream::Start(channel_, kCount, EchoRequest(), std::make_unique<EchoResponse>(),
                             options, std::move(handlers));
    client->stream->Request(credit);
    return client;
  }
  static EchoResponse Number(std::int64_t number) {
    EchoResponse response;
    response.set_number(number);
    return response;
  }
};
INSTANTIATE_TRANSPORTS(ServerStreamTest);

TEST_P(ServerStreamTest, AFullQueueRefusesAndCallsBackWhenThereIsRoom) {
  constexpr std::int64_t kTotal = 5000;
  service_.limits.messages_max = 16;
  std::atomic<std::int64_t> refusals = 0;
  std::atomic<std::size_t> queued_max = 0;
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>& stream) {
    auto next = std::make_shared<std::int64_t>(0);
    auto produce = [&, next, weak = std::weak_ptr(stream)] {
      const auto out = weak.lock();
      while (*next < kTotal) {
        if (!out->Write(Number(*next))) {
          ++refusals;
          return;
        }
        queued_max = std::max(queued_max.load(), out->queued());
        ++*next;
      }
      out->Finish(absl::OkStatus());
    };
    stream->set_on_writable(produce);
    produce();
  };
  // One message of credit at a time: the slowest reader there is.
  const auto client = Start(1, {}, [](Client& c) { c.stream->Request(1); });
  const absl::Status status = Await(client->done);
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(client->numbers.size(), static_cast<std::size_t>(kTotal));
  for (std::int64_t i = 0; i < kTotal; ++i)
    ASSERT_EQ(client->numbers[static_cast<std::size_t>(i)], i);
  EXPECT_GT(refusals, 0);
  EXPECT_LE(queued_max, 16u);
}

TEST_P(ServerStreamTest, AReaderWithoutCreditStopsTheServer) {
  service_.limits = {.messages_max = 4, .bytes_max = 1 << 20};
  std::promise<std::int64_t> written;
  std::promise<absl::Status> ended;
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>& stream) {
    stream->set_on_done([&](const absl::Status& status) { ended.set_value(status); });
    EchoResponse large;
    large.set_text(std::string(300'000, 'x'));
    std::int64_t count = 0;
    while (stream->Write(large)) ++count;
    written.set_value(count);
  };
  const auto client = Start(0);
  EXPECT_LE(Await(written), 5);
  client->stream->Cancel();
  EXPECT_EQ(Await(client->done).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Await(ended).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(client->numbers.empty());
}

TEST_P(ServerStreamTest, AClientThatVanishesEndsTheStream) {
  std::promise<std::shared_ptr<CountStream>> started;
  std::promise<absl::Status> ended;
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>& stream) {
    stream->set_on_done([&](const absl::Status& status) { ended.set_value(status); });
    EXPECT_TRUE(stream->Write(Number(1)));
    started.set_value(stream);
  };
  const auto client = Start(100);
  const auto stream = Await(started);
  ASSERT_TRUE(Eventually([&] { return client->received == 1; }));
  client->stream->Cancel();
  EXPECT_EQ(Await(ended).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(stream->ended());
  EXPECT_FALSE(stream->Write(Number(2)));
  EXPECT_TRUE(stream->context().cancelled());
  stream->Finish(absl::OkStatus());
  EXPECT_FALSE(Await(client->done).ok());
}

TEST_P(ServerStreamTest, AnErrorAtTheEndArrivesWithItsDetails) {
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>& stream) {
    stream->Finish(FieldError("filter", "does not parse"));
    stream->Finish(absl::OkStatus());
  };
  const absl::Status status = Await(Start(1)->done);
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u) << status;
}

TEST_P(ServerStreamTest, AThrowingHandlerGivesInternal) {
  SetExceptionLog([](std::string_view, std::string_view) {});
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>&) {
    throw std::runtime_error("boom");
  };
  EXPECT_EQ(Await(Start(1)->done).code(), absl::StatusCode::kInternal);
}

TEST_P(ServerStreamTest, AnOptionalDeadlineEndsAStream) {
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>&) {};
  EXPECT_EQ(Await(Start(1, {.timeout = std::chrono::milliseconds(50)})->done).code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(ServerStreamTest, StopEndsOpenStreamsWithinTheGrace) {
  std::promise<void> started;
  service_.on_count = [&](const EchoRequest&, const std::shared_ptr<CountStream>&) {
    started.set_value();
  };
  const auto client = Start(1);
  Await(started);
  const auto before = std::chrono::steady_clock::now();
  host_->Stop(std::chrono::milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  EXPECT_FALSE(Await(client->done).ok());
}

}  // namespace
}  // namespace penstock::rpc
