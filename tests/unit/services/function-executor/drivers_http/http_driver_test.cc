#include "services/function-executor/drivers/http/http_driver.h"

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/http/egress.h"
#include "libs/http/server.h"
#include "services/function-executor/drivers/noop/noop_driver.h"
#include "services/function-executor/timers/loop_timers.h"
#include "tests/unit/services/function-executor/drivers_http/invocation_sample.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

class HttpDriverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = http::Server::Start(
        loops_, {}, [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
          Handle(std::move(request), std::move(exchange));
        });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    MakeDriver({.allow = {"127.0.0.0/8"}});
  }

  void TearDown() override {
    driver_->Stop();
    client_->Stop();
    hanging_.clear();
    server_->Stop();
    loops_.Stop();
  }

  void MakeDriver(const http::EgressPolicy::Options& egress) {
    if (driver_) driver_->Stop();
    if (client_) client_->Stop();
    driver_.reset();
    http::ClientOptions options;
    options.egress = [policy = *http::EgressPolicy::Create(egress)](const std::string& address,
                                                                    std::uint16_t port) {
      return policy.Check(address, port);
    };
    client_ = *http::Client::Create(loops_, std::move(options));
    driver_ = std::make_unique<HttpDriver>(HttpDriver::Options{.answer_bytes_max = 1000}, *client_,
                                           SystemClock());
  }

  void Handle(http::Request request, std::shared_ptr<http::Exchange> exchange) {
    if (request.path() == "/hang") {
      const std::lock_guard lock(mutex_);
      hanging_.push_back(std::move(exchange));
      arrived_.set_value();
      return;
    }
    if (request.path() == "/id") {
      const std::string id(request.headers.Get("webhook-id"));
      return exchange->Respond(http::Response::Text(200, id));
    }
    if (request.path() == "/large") {
      return exchange->Respond(http::Response::Text(200, std::string(5000, 'x')));
    }
    if (request.path() == "/busy") {
      http::Response response = http::Response::Text(503, "later");
      response.headers.Add("Retry-After", "9");
      return exchange->Respond(std::move(response));
    }
    exchange->Respond(http::Response::Text(200, request.method + " " + request.body));
  }

  std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
  }

  static Outcome Wait(std::future<Outcome>& future) {
    if (future.wait_for(20s) != std::future_status::ready) {
      ADD_FAILURE() << "no outcome";
      return {};
    }
    return future.get();
  }

  std::pair<std::shared_ptr<Driver::Call>, std::future<Outcome>> Start(Invocation invocation,
                                                                       Microseconds limit = 20s) {
    invocation.deadline = SystemClock().Monotonic() + limit;
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    auto call = driver_->Start(std::move(invocation), [promise](Outcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return {std::move(call), std::move(future)};
  }

  Outcome Run(Invocation invocation) {
    auto [call, future] = Start(std::move(invocation));
    return Wait(future);
  }

  Outcome Run(const std::string& url, Microseconds limit = 20s) {
    auto [call, future] = Start(DirectCall(HttpFunction(url)), limit);
    return Wait(future);
  }

  http::EventLoops loops_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<HttpDriver> driver_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<http::Exchange>> hanging_;
  std::promise<void> arrived_;
};

TEST_F(HttpDriverTest, CallsTheFunction) {
  const Outcome outcome = Run(Url("/run"));
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(*outcome.payload, "POST hello");
  EXPECT_EQ(outcome.http_status, 200);
}

TEST_F(HttpDriverTest, SignsWithTheIdThatStaysTheSameOverAttempts) {
  Invocation call = DirectCall(HttpFunction(Url("/id")));
  call.signing = std::make_shared<const SecretValues>(SecretValues{{"key", "k"}});
  EXPECT_EQ(*Run(call).payload, call.execution_id);
  Invocation delivery = EventDelivery(HttpFunction(Url("/id")));
  delivery.signing = call.signing;
  EXPECT_EQ(*Run(delivery).payload, "d-1");
}

TEST_F(HttpDriverTest, SendsNothingThatItCannotSign) {
  Invocation call = DirectCall(HttpFunction(Url("/run")));
  call.signing = std::make_shared<const SecretValues>(SecretValues{{"key", "whsec_?"}});
  const Outcome outcome = Run(call);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
  EXPECT_EQ(outcome.error->type, "BadSigningKey");
}

TEST_F(HttpDriverTest, GivesTheWaitThatTheFunctionAsksFor) {
  const Outcome outcome = Run(Url("/busy"));
  EXPECT_EQ(outcome.error->type, "HttpStatus");
  EXPECT_EQ(outcome.retry_after, Microseconds(9'000'000));
}

TEST_F(HttpDriverTest, TheDeadlineEndsACall) {
  const Outcome outcome = Run(Url("/hang"), 50ms);
  EXPECT_EQ(outcome.error->type, "Timeout");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kSystem);
}

TEST_F(HttpDriverTest, CancelEndsACall) {
  auto [call, future] = Start(DirectCall(HttpFunction(Url("/hang"))));
  arrived_.get_future().wait();
  call->Cancel();
  EXPECT_EQ(Wait(future).error->type, "Cancelled");
}

TEST_F(HttpDriverTest, StopEndsCallsAndRefusesNewOnes) {
  auto [call, future] = Start(DirectCall(HttpFunction(Url("/hang"))));
  arrived_.get_future().wait();
  driver_->Stop();
  EXPECT_EQ(Wait(future).error->type, "Unavailable");
  EXPECT_EQ(Run(Url("/run")).error->type, "Unavailable");
}

TEST_F(HttpDriverTest, AnAnswerThatIsTooLargeIsAnError) {
  EXPECT_EQ(Run(Url("/large")).error->type, "ResponseTooLarge");
}

TEST_F(HttpDriverTest, WhereNothingListensTheConnectionFails) {
  const std::string url = Url("/run");
  server_->Stop();
  EXPECT_EQ(Run(url).error->type, "ConnectFailed");
}

TEST_F(HttpDriverTest, ARefusedAddressNamesTheKey) {
  MakeDriver({});
  const Outcome outcome = Run(Url("/run"));
  EXPECT_EQ(outcome.error->type, "EgressDenied");
  EXPECT_NE(outcome.error->message.find("egress.allow"), std::string::npos);
}

TEST(NoopDriverTest, AnswersWithThePayload) {
  NoopDriver driver;
  std::string payload;
  driver.Start(DirectCall(std::make_shared<FunctionSpec>()),
               [&](const Outcome& outcome) { payload = *outcome.payload; });
  EXPECT_EQ(payload, "hello");
}

TEST(LoopTimersTest, RunsATaskUnlessItIsCancelled) {
  http::EventLoops loops;
  LoopTimers timers(loops);
  std::promise<void> ran;
  const auto never = timers.RunAfter(3600s, [] { ADD_FAILURE() << "was cancelled"; });
  timers.RunAfter(1ms, [&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(20s), std::future_status::ready);
  never->Cancel();
  loops.Stop();
}

}  // namespace
}  // namespace penstock::executor
