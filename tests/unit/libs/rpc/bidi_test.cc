#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "libs/base/status.h"
#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using Handlers = BidiServerHandlers<Numbers, Numbers>;
using ClientHandlers = BidiClientHandlers<Numbers, Numbers>;

// Numbers waiting to be sent, packed at most `pack_max` into a message.
class Outbox {
 public:
  explicit Outbox(std::size_t pack_max) : pack_max_(pack_max) {}

  void Push(std::int64_t number) {
    const std::lock_guard lock(mutex_);
    numbers_.push_back(number);
  }
  bool Fill(Numbers& message) {
    const std::lock_guard lock(mutex_);
    while (next_ < numbers_.size() &&
           static_cast<std::size_t>(message.numbers_size()) < pack_max_) {
      message.add_numbers(numbers_[next_++]);
    }
    return message.numbers_size() > 0;
  }

 private:
  const std::size_t pack_max_;
  std::mutex mutex_;
  std::vector<std::int64_t> numbers_;
  std::size_t next_ = 0;
};

class BidiTest : public EchoTest {
 protected:
  // Answers each number with its negative.
  void ServeNegatives(std::size_t pack_max) {
    service_.on_exchange = [pack_max](const std::shared_ptr<NumbersServer>& stream) {
      auto out = std::make_shared<Outbox>(pack_max);
      Handlers handlers;
      handlers.fill = [out](Numbers& message) { return out->Fill(message); };
      handlers.on_message = [out, stream](Numbers& message) {
        for (const std::int64_t number : message.numbers()) out->Push(-number);
        stream->Notify();
      };
      return handlers;
    };
  }
  // Serves a stream that does nothing, and reports how it ended.
  void ServeSilence(std::promise<absl::Status>& ended,
                    std::promise<std::shared_ptr<NumbersServer>>& started) {
    service_.on_exchange = [&](const std::shared_ptr<NumbersServer>& stream) {
      started.set_value(stream);
      Handlers handlers;
      handlers.on_message = [](Numbers&) {};
      handlers.on_half_close = [] {};
      handlers.on_done = [&](const absl::Status& status) { ended.set_value(status); };
      return handlers;
    };
  }
  std::shared_ptr<NumbersClient> Idle(std::promise<absl::Status>& done,
                                      const CallOptions& options = {}) {
    ClientHandlers handlers;
    handlers.on_message = [](Numbers&) {};
    handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
      done.set_value(status);
    };
    return NumbersClient::Start(channel_, kExchange, options, std::move(handlers));
  }
};
INSTANTIATE_TEST_SUITE_P(Over, BidiTest,
                         ::testing::Values(Transport::kTcp, Transport::kInproc, Transport::kFront,
                                           Transport::kWire, Transport::kDirect),
                         TransportName);

TEST_P(BidiTest, TenThousandSmallMessagesBothWaysAtOnce) {
  constexpr std::int64_t kTotal = 10'000;
  ServeNegatives(/*pack_max=*/1);
  Outbox out(1);
  std::vector<std::int64_t> received;
  std::promise<absl::Status> done;
  std::shared_ptr<NumbersClient> client;
  ClientHandlers handlers;
  handlers.fill = [&](Numbers& message) { return out.Fill(message); };
  handlers.on_message = [&](Numbers& message) {
    received.insert(received.end(), message.numbers().begin(), message.numbers().end());
  };
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
    done.set_value(status);
  };
  client = NumbersClient::Start(channel_, kExchange, {}, handlers);
  for (std::int64_t i = 1; i <= kTotal; ++i) {
    out.Push(i);
    client->Notify();
  }
  client->WritesDone();
  const absl::Status status = Await(done);
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(received.size(), static_cast<std::size_t>(kTotal)) << "nothing lost";
  for (std::int64_t i = 0; i < kTotal; ++i) {
    ASSERT_EQ(received[static_cast<std::size_t>(i)], -(i + 1)) << "nothing out of order";
  }
}

TEST_P(BidiTest, WhatComesDuringAWriteFormsTheNextMessage) {
  if (GetParam() == Transport::kDirect) GTEST_SKIP() << "a write is over when Notify returns";
  constexpr std::int64_t kTotal = 20'000;
  ServeNegatives(/*pack_max=*/100'000);
  Outbox out(100'000);
  std::atomic<std::int64_t> messages = 0;
  std::int64_t numbers = 0;
  std::promise<absl::Status> done;
  ClientHandlers handlers;
  handlers.fill = [&](Numbers& message) {
    const bool filled = out.Fill(message);
    if (filled) ++messages;
    return filled;
  };
  handlers.on_message = [&](Numbers& message) { numbers += message.numbers_size(); };
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
    done.set_value(status);
  };
  const auto client = NumbersClient::Start(channel_, kExchange, {}, handlers);
  for (std::int64_t i = 0; i < kTotal; ++i) {
    out.Push(i);
    client->Notify();
  }
  client->WritesDone();
  EXPECT_TRUE(Await(done).ok());
  EXPECT_EQ(numbers, kTotal);
  EXPECT_LT(messages, kTotal / 2);
}

TEST_P(BidiTest, CancellingEndsBothSidesOnce) {
  std::promise<absl::Status> ended;
  std::promise<std::shared_ptr<NumbersServer>> started;
  ServeSilence(ended, started);
  std::promise<absl::Status> done;
  const auto client = Idle(done);
  const auto server = Await(started);
  client->Cancel();
  client->Cancel();
  EXPECT_EQ(Await(done).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Await(ended).code(), absl::StatusCode::kCancelled);
  server->Notify();
  server->Finish(absl::OkStatus());
  client->Notify();
  client->WritesDone();
}

TEST_P(BidiTest, TheServersErrorReachesTheClientWithItsDetails) {
  std::promise<absl::Status> ended;
  std::promise<std::shared_ptr<NumbersServer>> started;
  ServeSilence(ended, started);
  std::promise<absl::Status> done;
  const auto client = Idle(done);
  Await(started)->Finish(WithReason(absl::UnavailableError("stopping"), "DRAINING"));
  const absl::Status status = Await(done);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "DRAINING");
  EXPECT_EQ(Await(ended).code(), absl::StatusCode::kUnavailable);
}

TEST_P(BidiTest, MetadataAndTheTokenGoThereAndTrailingMetadataComesBack) {
  const auto auth = PeerAuth::Random();
  service_.on_exchange = [auth](const std::shared_ptr<NumbersServer>& stream) {
    stream->context().AddTrailing("answer", std::string(stream->context().Metadata("question")));
    stream->context().AddTrailing("answer-bin",
                                  std::string(stream->context().Metadata("question-bin")));
    stream->Finish(auth->Check(stream->context()));
    return Handlers();
  };
  std::promise<absl::Status> done;
  std::string answer;
  std::string binary;
  std::string nothing = "?";
  ClientHandlers handlers;
  handlers.on_message = [](Numbers&) {};
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata& metadata) {
    answer = metadata.Trailing("answer");
    binary = metadata.Trailing("answer-bin");
    nothing = metadata.Initial("answer");
    done.set_value(status);
  };
  CallOptions options;
  const std::string bytes("\0\xff\n,\x80", 5);
  options.metadata = {{"question", "why"}, {"question-bin", bytes}};
  options.peer_auth = auth;
  const auto client = NumbersClient::Start(channel_, kExchange, options, std::move(handlers));
  const absl::Status status = Await(done);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(answer, "why");
  EXPECT_EQ(binary, bytes);
  EXPECT_EQ(nothing, "");
}

TEST_P(BidiTest, AClientMaySendSerializedMessages) {
  ServeNegatives(/*pack_max=*/10);
  Numbers numbers;
  numbers.add_numbers(7);
  using Client = BidiClient<grpc::ByteBuffer, Numbers, Numbers>;
  std::promise<absl::Status> done;
  std::vector<std::int64_t> received;
  Client::Handlers handlers;
  handlers.fill = [&, left = 3](grpc::ByteBuffer& message) mutable {
    if (left-- <= 0) return false;
    const grpc::Slice slice(numbers.SerializeAsString());
    message = grpc::ByteBuffer(&slice, 1);
    return true;
  };
  handlers.on_message = [&](Numbers& message) {
    received.insert(received.end(), message.numbers().begin(), message.numbers().end());
  };
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
    done.set_value(status);
  };
  const auto client = Client::Start(channel_, kExchange, {}, std::move(handlers));
  client->WritesDone();
  EXPECT_TRUE(Await(done).ok());
  EXPECT_EQ(received, std::vector<std::int64_t>({-7, -7, -7}));
}

TEST_P(BidiTest, AStreamCanBeRefusedWhenItOpens) {
  service_.on_exchange = [](const std::shared_ptr<NumbersServer>& stream) {
    stream->Finish(absl::PermissionDeniedError("no token"));
    return Handlers();
  };
  std::promise<absl::Status> done;
  const auto client = Idle(done);
  EXPECT_EQ(Await(done).code(), absl::StatusCode::kPermissionDenied);
}

TEST_P(BidiTest, FinishingWithOkSendsWhatIsLeft) {
  service_.on_exchange = [](const std::shared_ptr<NumbersServer>& stream) {
    auto out = std::make_shared<Outbox>(1);
    for (int i = 0; i < 100; ++i) out->Push(i);
    stream->Finish(absl::OkStatus());
    Handlers handlers;
    handlers.fill = [out](Numbers& message) { return out->Fill(message); };
    handlers.on_message = [](Numbers&) {};
    return handlers;
  };
  std::promise<absl::Status> done;
  int received = 0;
  ClientHandlers handlers;
  handlers.on_message = [&](Numbers& message) { received += message.numbers_size(); };
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
    done.set_value(status);
  };
  const auto client = NumbersClient::Start(channel_, kExchange, {}, handlers);
  EXPECT_TRUE(Await(done).ok());
  EXPECT_EQ(received, 100);
}

TEST_P(BidiTest, ThrowingHandlersEndTheStream) {
  SetExceptionLog([](std::string_view, std::string_view) {});
  service_.on_exchange = [](const std::shared_ptr<NumbersServer>&) {
    Handlers handlers;
    handlers.on_message = [](Numbers&) { throw std::runtime_error("boom"); };
    handlers.on_half_close = [] {};
    return handlers;
  };
  std::promise<absl::Status> done;
  ClientHandlers handlers;
  handlers.fill = [sent = false](Numbers& message) mutable {
    message.add_numbers(1);
    return !std::exchange(sent, true);
  };
  handlers.on_message = [](Numbers&) {};
  handlers.on_done = [&](const absl::Status& status, const ResponseMetadata&) {
    done.set_value(status);
  };
  const auto client = NumbersClient::Start(channel_, kExchange, {}, handlers);
  EXPECT_EQ(Await(done).code(), absl::StatusCode::kInternal);
}

TEST_P(BidiTest, ADeadlineEndsAnIdleStream) {
  std::promise<absl::Status> ended;
  std::promise<std::shared_ptr<NumbersServer>> started;
  ServeSilence(ended, started);
  std::promise<absl::Status> done;
  // Time enough to reach the server on a busy machine too: it is to see the end.
  const auto client = Idle(done, {.timeout = std::chrono::milliseconds(300)});
  EXPECT_EQ(Await(done).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(Await(ended).ok());
}

TEST_P(BidiTest, EndingWhileOthersNotifyIsSafe) {
  ServeNegatives(/*pack_max=*/3);
  for (int round = 0; round < 100; ++round) {
    Outbox out(3);
    std::atomic<int> ends = 0;
    std::promise<void> done;
    ClientHandlers handlers;
    handlers.fill = [&](Numbers& message) { return out.Fill(message); };
    handlers.on_message = [](Numbers&) {};
    handlers.on_done = [&](const absl::Status&, const ResponseMetadata&) {
      if (++ends == 1) done.set_value();
    };
    const auto client = NumbersClient::Start(channel_, kExchange, {}, handlers);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          out.Push(i);
          client->Notify();
        }
      });
    }
    round % 2 == 0 ? client->Cancel() : client->WritesDone();
    for (std::thread& thread : threads) thread.join();
    Await(done);
    EXPECT_EQ(ends, 1);
  }
}

TEST_P(BidiTest, StopEndsOpenStreamsWithinTheGrace) {
  std::promise<absl::Status> ended;
  std::promise<std::shared_ptr<NumbersServer>> started;
  ServeSilence(ended, started);
  std::promise<absl::Status> done;
  const auto client = Idle(done);
  Await(started);
  const auto before = std::chrono::steady_clock::now();
  host_->Stop(std::chrono::milliseconds(200));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  EXPECT_FALSE(Await(done).ok());
  EXPECT_EQ(Await(ended).code(), absl::StatusCode::kCancelled);
}

// What a client's end was told.
struct ToldClient final : ClientEnd<Numbers> {
  void OnMessage(Numbers&) override {}
  void OnReadsEnded() override { reads_ended = true; }
  void OnWritten(bool ok) override { written = ok; }
  void OnNotified() override {}
  void OnEnd(const absl::Status& status, const ResponseMetadata&) override { end = status; }

  bool reads_ended = false;
  std::optional<bool> written;
  std::optional<absl::Status> end;
};

TEST(DirectLinkTest, AServerThatStopsBeforeTheCallIsOpenEndsIt) {
  const auto calls = std::make_shared<DirectMethods::Calls>();
  const auto link = std::make_shared<DirectLink<Numbers, Numbers>>(calls);
  ASSERT_TRUE(calls->Add(link.get(), link));
  link->Abort();
  const auto client = std::make_shared<ToldClient>();
  std::optional<absl::Status> ended;
  NumbersServer::ServeDirect(link, {}, client, [&](const std::shared_ptr<NumbersServer>&) {
    Handlers handlers;
    handlers.on_message = [](Numbers&) {};
    handlers.on_done = [&](const absl::Status& status) { ended = status; };
    return handlers;
  });
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(client->reads_ended);
  Numbers late;
  link->WriteUp(late);
  EXPECT_EQ(client->written, false);
  EXPECT_FALSE(client->end.has_value()) << "its own side is open";
  link->CloseClient(/*broken=*/true);
  ASSERT_TRUE(client->end.has_value());
  EXPECT_EQ(client->end->code(), absl::StatusCode::kUnavailable);
  calls->Stop(std::chrono::steady_clock::now());
  EXPECT_FALSE(calls->Add(link.get(), link));
}

}  // namespace
}  // namespace penstock::rpc
