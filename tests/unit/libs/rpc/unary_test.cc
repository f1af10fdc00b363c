#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/rpc/generic_call.h"
#include "libs/rpc/metadata.h"
#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

using std::chrono::milliseconds;

class UnaryTest : public EchoTest {};
INSTANTIATE_TRANSPORTS(UnaryTest);
INSTANTIATE_TEST_SUITE_P(OverLoops, UnaryTest, ::testing::Values(Transport::kWire), TransportName);

TEST_P(UnaryTest, AnswersFromAnotherThreadWithMetadata) {
  std::thread worker;
  service_.on_echo = [&](const EchoRequest& request, EchoResponse* response, CallContext& context,
                         const ServerDone& done) {
    EXPECT_EQ(context.principal(), "ada");
    EXPECT_EQ(context.min_revision(), "events:3");
    EXPECT_LT(context.deadline(), SystemTime::max()) << "a unary call always has a deadline";
    worker = std::thread([&request, response, &context, done] {
      response->set_text(request.text() + "!");
      context.set_revision("events:17");
      done(absl::OkStatus());
      done(absl::InternalError("the second answer does not count"));
    });
  };
  EchoRequest request;
  request.set_text("hello");
  std::promise<std::string> text;
  std::string revision;
  bool in_callback = false;
  CallUnary<EchoResponse>(
      channel_, kEcho, request,
      {.metadata = {{kPrincipalKey, "ada"}, {kMinRevisionKey, "events:3"}}},
      [&](absl::StatusOr<EchoResponse> response, const ResponseMetadata& metadata) {
        revision = metadata.Trailing(kRevisionKey);
        in_callback = InCallback();
        text.set_value(response.ok() ? response->text() : response.status().ToString());
      });
  EXPECT_EQ(Await(text), "hello!");
  EXPECT_EQ(revision, "events:17");
  EXPECT_TRUE(in_callback);
  worker.join();
}

TEST_P(UnaryTest, ErrorDetailsArriveWhole) {
  service_.on_echo = [](const EchoRequest&, EchoResponse*, CallContext&, const ServerDone& done) {
    done(WithRetryAfter(WithReason(FieldError("event.type", "must not be empty"), "NO_TYPE",
                                   {{"space", "default"}}),
                        absl::Milliseconds(1500)));
  };
  const absl::Status status = Echo("x").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(status)[0].field, "event.type");
  EXPECT_EQ(ReasonOf(status), "NO_TYPE");
  EXPECT_EQ(RetryAfterOf(status), absl::Milliseconds(1500));
}

TEST_P(UnaryTest, AThrowingHandlerGivesInternalAndIsReported) {
  std::promise<std::string> reported;
  SetExceptionLog(
      [&](std::string_view, std::string_view what) { reported.set_value(std::string(what)); });
  service_.on_echo = [](const EchoRequest&, EchoResponse*, CallContext&, const ServerDone&) {
    throw std::runtime_error("boom");
  };
  const absl::Status status = Echo("x").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message().find("boom"), absl::string_view::npos) << "not for the caller's eyes";
  EXPECT_EQ(Await(reported), "boom");
  SetExceptionLog([](std::string_view, std::string_view) {});
}

TEST_P(UnaryTest, AForgottenAnswerGivesInternal) {
  service_.on_echo = [](const EchoRequest&, EchoResponse*, CallContext&, const ServerDone&) {};
  EXPECT_EQ(Echo("x").status().code(), absl::StatusCode::kInternal);
}

TEST_P(UnaryTest, ALateAnswerAfterTheDeadlineHarmsNothing) {
  std::promise<ServerDone> kept;
  const EchoRequest* seen = nullptr;
  EchoResponse* answer = nullptr;
  std::promise<void> cancelled;
  service_.on_echo = [&](const EchoRequest& request, EchoResponse* response, CallContext& context,
                         const ServerDone& done) {
    seen = &request;
    answer = response;
    context.cancellation()->Subscribe([&] { cancelled.set_value(); });
    kept.set_value(done);
  };
  EXPECT_EQ(Echo("long", {.timeout = milliseconds(50)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  Await(cancelled);
  const ServerDone done = Await(kept);
  EXPECT_EQ(seen->text(), "long") << "still the handler's while it holds `done`";
  answer->set_text("too late");
  done(absl::OkStatus());
}

TEST_P(UnaryTest, CancellingEndsTheCallOnBothSides) {
  const auto cancellation = std::make_shared<Cancellation>();
  std::promise<void> server_saw;
  service_.on_echo = [&](const EchoRequest&, EchoResponse*, CallContext& context,
                         const ServerDone& done) {
    context.cancellation()->Subscribe([&, done] { server_saw.set_value(); });
    cancellation->Cancel();
  };
  EXPECT_EQ(Echo("x", {.cancellation = cancellation}).status().code(),
            absl::StatusCode::kCancelled);
  Await(server_saw);
  service_.on_echo = nullptr;
  EXPECT_EQ(Echo("x", {.cancellation = cancellation}).status().code(), absl::StatusCode::kCancelled)
      << "a cancellation that is already set counts";
  EXPECT_TRUE(Echo("x").ok());
}

TEST_P(UnaryTest, ACallersCancellationReachesTheCallsMadeForIt) {
  std::promise<absl::StatusCode> inner;
  std::promise<void> inner_running;
  service_.on_echo = [&](const EchoRequest& request, EchoResponse*, CallContext& context,
                         const ServerDone& done) {
    if (request.text() == "inner") {
      inner_running.set_value();
      context.cancellation()->Subscribe([done] {});  // Never answers by itself.
      return;
    }
    EchoRequest next;
    next.set_text("inner");
    CallUnary<EchoResponse>(
        channel_, kEcho, next,
        {.deadline = context.deadline(), .cancellation = context.cancellation()},
        [&inner, done](absl::StatusOr<EchoResponse> response, const ResponseMetadata&) {
          inner.set_value(response.status().code());
          done(response.status());
        });
  };
  const auto cancellation = std::make_shared<Cancellation>();
  std::thread canceller([&] {
    Await(inner_running);
    cancellation->Cancel();
  });
  EXPECT_EQ(Echo("outer", {.cancellation = cancellation}).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(Await(inner), absl::StatusCode::kCancelled);
  canceller.join();
}

TEST_P(UnaryTest, MessagesUpToTheLimitPassAndLargerOnesAreRefused) {
  const std::string five(5 * 1024 * 1024, 'x');
  auto response = Echo(five);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->text().size(), five.size());
  EXPECT_EQ(Echo(std::string(9 * 1024 * 1024, 'x')).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_P(UnaryTest, CallsByNameWithTypesKnownAtRunTime) {
  auto request = std::make_shared<EchoRequest>();
  request->set_text("generic");
  auto response = std::make_shared<EchoResponse>();
  std::promise<absl::Status> done;
  GenericCall(
      channel_, kEcho, request, response, {},
      [&](absl::Status status, const ResponseMetadata&) { done.set_value(std::move(status)); });
  EXPECT_TRUE(Await(done).ok());
  EXPECT_EQ(response->text(), "generic");

  std::promise<absl::Status> unknown;
  GenericCall(
      channel_, "/penstock.testing.EchoService/Nothing", request, response, {},
      [&](absl::Status status, const ResponseMetadata&) { unknown.set_value(std::move(status)); });
  EXPECT_EQ(Await(unknown).code(), absl::StatusCode::kUnimplemented);
}

TEST_P(UnaryTest, CallsWhileTheServerStopsAllEnd) {
  std::atomic<int> started = 0;
  std::atomic<int> ended = 0;
  std::atomic<bool> stopped = false;
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      while (!stopped) {
        ++started;
        CallUnary<EchoResponse>(
            channel_, kEcho, EchoRequest(), {},
            [&](absl::StatusOr<EchoResponse>, const ResponseMetadata&) { ++ended; });
        while (started - ended > 50) std::this_thread::yield();
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return ended > 100; }));
  host_->Stop(milliseconds(100));
  stopped = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(Eventually([&] { return started == ended; }));
}

TEST_P(UnaryTest, AStoppedServerIsUnavailable) {
  host_->Stop(milliseconds(100));
  EXPECT_EQ(Echo("x").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::rpc
