// Each kind of step by what it does to calls.
#include "gmock/gmock.h"
#include "services/function-executor/domain/classify.h"
#include "services/function-executor/domain/middleware/json_place.h"
#include "tests/unit/services/function-executor/domain/middleware/chain_fixture.h"

namespace penstock::executor {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StepsTest : public ChainFixture {
 protected:
  static Invocation From(Invocation call, const std::string& caller) {
    call.caller = caller;
    return call;
  }
  static Invocation Keyed(Invocation call, const std::string& key) {
    call.idempotency_key = key;
    return call;
  }
  Invocation Http(const std::string& path,
                  std::vector<std::pair<std::string, std::string>> headers = {}) const {
    Invocation call = Call();
    call.trigger = TriggerKind::kHttp;
    call.http.emplace();
    call.http->method = "GET";
    call.http->path = path;
    call.http->headers = std::move(headers);
    return call;
  }
  // Runs a call to its end, in which the function answers `payload`.
  std::string Run(const std::shared_ptr<const Chain>& chain, Invocation call,
                  const std::string& payload) {
    const Sent sent = Send(chain, std::move(call));
    if (!reached_.empty()) Answer(Succeeded(payload));
    return sent.ended() ? *sent->payload : "not ended";
  }
};

TEST_F(StepsTest, RetryTriesAgainAfterWaitsThatDouble) {
  const Sent sent = Send(Make({{"retry", R"({"maxAttempts":3,"initialBackoff":"0.200s"})"}}));
  AnswerError(ErrorCategory::kSystem);
  EXPECT_THAT(timers_.delays(), ElementsAre(200ms));
  EXPECT_THAT(reached_, IsEmpty());
  timers_.FireAll();
  AnswerError(ErrorCategory::kSystem);
  EXPECT_THAT(timers_.delays(), ElementsAre(400ms));
  timers_.FireAll();
  Answer(Succeeded("third"));
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(*sent->payload, "third");
  EXPECT_THAT(sent.steps(), ElementsAre("retry before passed", "retry after retried 2"));
}

TEST_F(StepsTest, RetryGivesTheLastErrorWhenItsAttemptsAreUsedUp) {
  const Sent sent = Send(Make({{"retry", R"({"maxAttempts":2})"}}));
  AnswerError(ErrorCategory::kSystem);
  timers_.FireAll();
  AnswerError(ErrorCategory::kSystem);
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(sent.error(), "Test");
  EXPECT_THAT(timers_.delays(), IsEmpty());
}

TEST_F(StepsTest, RetrySpreadsItsWaits) {
  random_ = 0;
  Send(Make({{"retry", R"({"initialBackoff":"0.200s"})"}}));
  AnswerError(ErrorCategory::kSystem);
  EXPECT_THAT(timers_.delays(), ElementsAre(100ms));
}

TEST_F(StepsTest, RetryTriesOnlyWhatItIsToldTo) {
  const Sent by_default = Send(Make({{"retry", "{}"}}));
  AnswerError(ErrorCategory::kFunction);
  EXPECT_TRUE(by_default.ended());

  const auto chain = Make({{"retry", R"({"httpStatuses":[503]})"}});
  const Sent other_status = Send(chain);
  AnswerError(ErrorCategory::kFunction, 500);
  EXPECT_TRUE(other_status.ended());
  const Sent status = Send(chain);
  AnswerError(ErrorCategory::kFunction, 503);
  EXPECT_FALSE(status.ended());

  const Sent category = Send(Make({{"retry", R"({"categories":["FunctionError"]})"}}));
  AnswerError(ErrorCategory::kFunction);
  EXPECT_FALSE(category.ended());
}

TEST_F(StepsTest, RetryWaitsAsLongAsTheFunctionAsks) {
  Send(Make({{"retry", "{}"}}));
  Outcome outcome = FailedOutcome({ErrorCategory::kSystem, "Test", "", {}});
  outcome.retry_after = 7s;
  Answer(std::move(outcome));
  EXPECT_THAT(timers_.delays(), ElementsAre(7s));
}

TEST_F(StepsTest, RetryBeginsNothingAfterTheDeadline) {
  Invocation call = Call();
  call.deadline = clock_.Monotonic() + 150ms;
  const Sent sent = Send(Make({{"retry", R"({"initialBackoff":"0.200s"})"}}), std::move(call));
  AnswerError(ErrorCategory::kSystem);
  EXPECT_TRUE(sent.ended());
}

TEST_F(StepsTest, RetryEndsAtOnceWhenTheCallIsCancelled) {
  const Sent sent = Send(Make({{"retry", "{}"}}));
  AnswerError(ErrorCategory::kSystem);
  sent.run->Cancel();
  ASSERT_TRUE(sent.ended());
  EXPECT_EQ(sent.error(), "Cancelled");
  timers_.FireAll();
  EXPECT_THAT(reached_, IsEmpty());
}

TEST_F(StepsTest, RetryAndBreakerLeaveDeliveriesToTheBroker) {
  const auto chain = Make({{"retry", "{}"}, {"breaker", R"({"failures":1})"}});
  for (int i = 0; i < 2; ++i) {
    const Sent sent = Send(chain, AsDelivery(Call()));
    AnswerError(ErrorCategory::kSystem);
    ASSERT_TRUE(sent.ended());
    EXPECT_THAT(sent.steps(), ElementsAre("retry before skipped", "breaker before skipped"));
  }
}

TEST_F(StepsTest, RateLimitRefusesWhatIsBeyondTheBurstAndSaysWhenToComeAgain) {
  const auto chain = Make({{"rate_limit", R"({"rate":2,"burst":3})"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Run(chain, Call(), "ok"), "ok");
  const Sent refused = Send(chain);
  ASSERT_TRUE(refused.ended());
  EXPECT_EQ(refused.error(), "RateLimited");
  EXPECT_EQ(refused->refusal, absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused->retry_after, 500ms);
  EXPECT_THAT(refused.steps(), ElementsAre("rate_limit before refused"));
  clock_.Advance(500ms);
  EXPECT_EQ(Run(chain, Call(), "ok"), "ok");
}

TEST_F(StepsTest, ARateLimitedDeliveryCostsNoAttempt) {
  const auto chain = Make({{"rate_limit", R"({"rate":1,"burst":1})"}});
  Run(chain, AsDelivery(Call()), "ok");
  const Sent refused = Send(chain, AsDelivery(Call()));
  ASSERT_TRUE(refused.ended());
  const DeliveryVerdict verdict = Classify(*refused);
  EXPECT_EQ(verdict.outcome, DeliveryOutcome::kRejected);
  EXPECT_EQ(verdict.retry_after, 1s);
}

TEST_F(StepsTest, RateLimitCountsEachKeyByItself) {
  const auto by_caller = Make({{"rate_limit", R"({"rate":1,"caller":true})"}});
  EXPECT_EQ(Run(by_caller, From(Call(), "ann"), "ok"), "ok");
  EXPECT_EQ(Run(by_caller, From(Call(), "bob"), "ok"), "ok");
  EXPECT_EQ(Send(by_caller, From(Call(), "ann")).error(), "RateLimited");

  const auto by_header = Make({{"rate_limit", R"({"rate":1,"header":"X-Tenant"})"}}, 2);
  EXPECT_EQ(Run(by_header, Http("/", {{"x-tenant", "t3"}}), "ok"), "ok");
  EXPECT_EQ(Run(by_header, Http("/", {{"x-tenant", "t4"}}), "ok"), "ok");
  EXPECT_EQ(Send(by_header, Http("/", {{"x-tenant", "t3"}})).error(), "RateLimited");
}

TEST_F(StepsTest, RateLimitReadsItsKeyFromThePayload) {
  const auto chain = Make({{"rate_limit", R"({"rate":1,"pointer":"/user/id"})"}});
  EXPECT_EQ(Run(chain, Call(R"({"user":{"id":1}})"), "ok"), "ok");
  EXPECT_EQ(Run(chain, Call(R"({"user":{"id":2}})"), "ok"), "ok");
  EXPECT_EQ(Send(chain, Call(R"({"user":{"id":1},"more":true})")).error(), "RateLimited");
}

TEST_F(StepsTest, TheRateOfAFunctionCountsOverItsVersions) {
  const auto first = Make({{"rate_limit", R"({"rate":1})"}}, 1);
  const auto second = Make({{"rate_limit", R"({"rate":1})"}}, 2);
  EXPECT_EQ(Run(first, Call(), "ok"), "ok");
  EXPECT_EQ(Send(second).error(), "RateLimited");
}

TEST_F(StepsTest, BreakerOpensAfterFailuresInARowAndLetsOneCallDecide) {
  const auto chain = Make({{"breaker", R"({"failures":2,"openFor":"5s"})"}});
  Send(chain);
  AnswerError(ErrorCategory::kFunction);
  Run(chain, Call(), "a success between");
  Send(chain);
  AnswerError(ErrorCategory::kFunction);
  const Sent last = Send(chain);
  AnswerError(ErrorCategory::kSystem);
  EXPECT_THAT(last.steps(), ElementsAre("breaker before passed", "breaker after opened"));

  clock_.Advance(2s);
  const Sent refused = Send(chain);
  ASSERT_TRUE(refused.ended());
  EXPECT_EQ(refused.error(), "CircuitOpen");
  EXPECT_EQ(refused->refusal, absl::StatusCode::kUnavailable);
  EXPECT_EQ(refused->retry_after, 3s);

  clock_.Advance(3s);
  const Sent probe = Send(chain);
  ASSERT_EQ(reached_.size(), 1U);
  EXPECT_EQ(Send(chain).error(), "CircuitOpen") << "only one call decides";
  AnswerError(ErrorCategory::kSystem);
  EXPECT_EQ(Send(chain).error(), "CircuitOpen") << "the probe failed";

  clock_.Advance(5s);
  const Sent good = Send(chain);
  Answer(Succeeded("well again"));
  EXPECT_THAT(good.steps(), ElementsAre("breaker before passed", "breaker after closed"));
  EXPECT_EQ(Run(chain, Call(), "ok"), "ok");
}

TEST_F(StepsTest, BreakerDoesNotCountWhatCallersDoWrong) {
  const auto chain = Make({{"breaker", R"({"failures":1})"}});
  Send(chain);
  AnswerError(ErrorCategory::kInput);
  EXPECT_EQ(Run(chain, Call(), "ok"), "ok");
}

TEST_F(StepsTest, ANewVersionHasABreakerOfItsOwn) {
  const auto first = Make({{"breaker", R"({"failures":1})"}}, 1);
  Send(first);
  AnswerError(ErrorCategory::kSystem);
  EXPECT_EQ(Send(first).error(), "CircuitOpen");
  EXPECT_EQ(Run(Make({{"breaker", R"({"failures":1})"}}, 2), Call(), "ok"), "ok");
}

TEST_F(StepsTest, CacheAnswersEqualCallsForItsTime) {
  const auto chain = Make({{"cache", R"({"ttl":"10s"})"}});
  EXPECT_EQ(Run(chain, Call(R"({"n":1})"), "one"), "one");
  EXPECT_EQ(Run(chain, Call(R"({"n":2})"), "two"), "two");
  const Sent known = Send(chain, Call(R"({"n":1})"));
  ASSERT_TRUE(known.ended());
  EXPECT_EQ(*known->payload, "one");
  EXPECT_THAT(known.steps(), ElementsAre("cache before answered"));
  clock_.Advance(10s);
  EXPECT_EQ(Run(chain, Call(R"({"n":1})"), "anew"), "anew");
}

TEST_F(StepsTest, CacheComparesOnlyTheValuesOfItsKey) {
  const auto chain = Make({{"cache", R"({"keyPointers":["/id"]})"}});
  EXPECT_EQ(Run(chain, Call(R"({"id":1,"at":1})"), "one"), "one");
  EXPECT_EQ(Run(chain, Call(R"({"id":1,"at":2})"), "other"), "one");
  EXPECT_EQ(Run(chain, Call(R"({"id":"1","at":2})"), "text"), "text");
}

TEST_F(StepsTest, CacheKeepsNoErrorsAndNoDeliveries) {
  const auto chain = Make({{"cache", "{}"}});
  Send(chain);
  AnswerError(ErrorCategory::kFunction);
  EXPECT_EQ(Run(chain, AsDelivery(Call()), "event"), "event");
  EXPECT_EQ(Run(chain, Call(), "first"), "first");
  EXPECT_EQ(Run(chain, Http("/a"), R"({"statusCode":500})"), R"({"statusCode":500})");
  EXPECT_EQ(Run(chain, Http("/a"), "good"), "good");
}

TEST_F(StepsTest, CacheTellsHttpEventsOfDifferentClientsApart) {
  const auto chain = Make({{"cache", "{}"}});
  EXPECT_EQ(Run(chain, Http("/me", {{"authorization", "ann"}}), "ann's"), "ann's");
  EXPECT_EQ(Run(chain, Http("/me", {{"authorization", "bob"}}), "bob's"), "bob's");
  EXPECT_EQ(Run(chain, Http("/you", {{"authorization", "ann"}}), "other"), "other");
  EXPECT_EQ(Run(chain, Http("/me", {{"authorization", "ann"}}), "new"), "ann's");
}

TEST_F(StepsTest, CacheDropsTheLeastRecentlyUsed) {
  const auto chain = Make({{"cache", R"({"maxEntries":2})"}});
  Run(chain, Call("1"), "one");
  Run(chain, Call("2"), "two");
  EXPECT_EQ(Run(chain, Call("1"), "again"), "one");
  Run(chain, Call("3"), "three");
  EXPECT_EQ(Run(chain, Call("1"), "again"), "one");
  EXPECT_EQ(Run(chain, Call("2"), "again"), "again");
}

TEST_F(StepsTest, IdempotencyRunsCallsWithOneKeyOnce) {
  const auto chain = Make({{"idempotency", R"({"ttl":"60s"})"}});
  EXPECT_EQ(Run(chain, Keyed(Call(), "k"), "first"), "first");
  const Sent again = Send(chain, Keyed(Call(), "k"));
  ASSERT_TRUE(again.ended());
  EXPECT_EQ(*again->payload, "first");
  EXPECT_THAT(again.steps(), ElementsAre("idempotency before answered"));
  EXPECT_EQ(Run(chain, Keyed(Call(), "other"), "second"), "second");
  EXPECT_EQ(Run(chain, From(Keyed(Call(), "k"), "bob"), "bob's"), "bob's");
  EXPECT_EQ(Run(chain, Call(), "without"), "without");
  EXPECT_EQ(Run(Make({{"idempotency", R"({"ttl":"60s"})"}}, 2), Keyed(Call(), "k"), "new"), "first")
      << "another version";
  clock_.Advance(60s);
  EXPECT_EQ(Run(chain, Keyed(Call(), "k"), "later"), "later");
}

TEST_F(StepsTest, IdempotencyRefusesASecondCallWhileTheFirstRuns) {
  const auto chain = Make({{"idempotency", "{}"}});
  const Sent first = Send(chain, Keyed(Call(), "k"));
  const Sent second = Send(chain, Keyed(Call(), "k"));
  ASSERT_TRUE(second.ended());
  EXPECT_EQ(second.error(), "IdempotencyConflict");
  EXPECT_EQ(second->refusal, absl::StatusCode::kAborted);
  EXPECT_FALSE(first.ended());
}

TEST_F(StepsTest, IdempotencyRefusesAnotherPayloadUnderTheSameKey) {
  const auto chain = Make({{"idempotency", "{}"}});
  Run(chain, Keyed(Call("1"), "k"), "first");
  const Sent other = Send(chain, Keyed(Call("2"), "k"));
  ASSERT_TRUE(other.ended());
  EXPECT_EQ(other.error(), "IdempotencyMismatch");
  EXPECT_EQ(other->refusal, absl::StatusCode::kInvalidArgument);
}

TEST_F(StepsTest, IdempotencyKeepsErrorsOfTheFunctionButNotOfTheSystem) {
  const auto chain = Make({{"idempotency", "{}"}});
  Send(chain, Keyed(Call(), "system"));
  AnswerError(ErrorCategory::kSystem);
  EXPECT_EQ(Run(chain, Keyed(Call(), "system"), "then"), "then");
  Send(chain, Keyed(Call(), "function"));
  AnswerError(ErrorCategory::kFunction);
  EXPECT_EQ(Send(chain, Keyed(Call(), "function")).error(), "Test");
}

TEST_F(StepsTest, IdempotencyCanAskForAKeyAndForgetsTheOldest) {
  const auto chain = Make({{"idempotency", R"({"required":true,"maxKeys":1})"}});
  EXPECT_EQ(Send(chain, Call()).error(), "IdempotencyKeyRequired");
  Run(chain, Keyed(Call(), "a"), "a1");
  Run(chain, Keyed(Call(), "b"), "b1");
  const Sent running = Send(chain, Keyed(Call(), "a"));
  EXPECT_FALSE(running.ended()) << "was forgotten for b";
  EXPECT_EQ(Send(chain, Keyed(Call(), "c")).error(), "Busy");
}

class LogStepTest : public ChainFixture {
 protected:
  RecordBodies Shape(const std::string& settings, RecordBodies bodies) {
    Make({{"log", settings}})->ShapeRecord(&bodies);
    return bodies;
  }
  static RecordBodies Json(const std::string& input, const std::string& output) {
    RecordBodies bodies;
    bodies.input = BytesOf(input);
    bodies.output = BytesOf(output);
    bodies.input_type = bodies.output_type = "application/json";
    return bodies;
  }
};

TEST_F(LogStepTest, TakesValuesOutOfWhatIsRecorded) {
  const RecordBodies kept =
      Shape(R"({"redact":["/card/number","/items/*/code"]})",
            Json(R"({"card":{"number":"4111","name":"A"},"items":[{"code":1},{"code":2}]})",
                 R"({"ok":true})"));
  EXPECT_EQ(*kept.input, R"({"card":{"number":"[redacted]","name":"A"},)"
                         R"("items":[{"code":"[redacted]"},{"code":"[redacted]"}]})");
  EXPECT_EQ(*kept.output, R"({"ok":true})");
}

TEST_F(LogStepTest, LeavesOutWhatItCannotRead) {
  RecordBodies bodies = Json("not json", "{}");
  EXPECT_EQ(Shape(R"({"redact":["/a"]})", bodies).input, nullptr);
  bodies.input = BytesOf("a=secret");
  bodies.input_type = "application/x-www-form-urlencoded";
  EXPECT_EQ(Shape(R"({"redact":["/a"]})", bodies).input, nullptr);
}

TEST_F(LogStepTest, RedactsTheDataOfEachEventOfABatch) {
  RecordBodies bodies = Json(R"([{"id":"1","data":{"a":1}},{"id":"2","data":{"a":2}}])", "");
  bodies.input_type = "application/cloudevents-batch+json";
  bodies.is_batch = true;
  EXPECT_EQ(*Shape(R"({"redact":["/a"]})", bodies).input,
            R"([{"id":"1","data":{"a":"[redacted]"}},{"id":"2","data":{"a":"[redacted]"}}])");
}

TEST_F(LogStepTest, KeepsTheBodiesThatItIsToldTo) {
  RecordBodies failed = Json("1", "2");
  failed.has_failed = true;
  EXPECT_EQ(Shape(R"({"bodies":"FAILURES"})", Json("1", "2")).input, nullptr);
  EXPECT_FALSE(Shape(R"({"bodies":"FAILURES"})", Json("1", "2")).keeps_logs);
  EXPECT_NE(Shape(R"({"bodies":"FAILURES"})", failed).output, nullptr);
  EXPECT_EQ(Shape(R"({"bodies":"NONE"})", failed).output, nullptr);
  EXPECT_NE(Shape("{}", Json("1", "2")).output, nullptr);
}

TEST(JsonPlaceTest, FollowsRfc6901) {
  const auto root = *ParseJsonBody(R"({"a/b":{"m~n":[10,{"":true}]},"*":7})");
  const auto at = [&](const char* pointer) { return JsonPlace::Parse(pointer)->Find(root); };
  EXPECT_EQ(*at("/a~1b/m~0n/0"), 10);
  EXPECT_EQ(*at("/a~1b/m~0n/1/"), true);
  EXPECT_EQ(*at("/*"), 7);
  EXPECT_EQ(at("")->as_object().size(), 2U);
  EXPECT_EQ(at("/a~1b/m~0n/01"), nullptr);
  EXPECT_EQ(at("/a~1b/m~0n/2"), nullptr);
  EXPECT_EQ(at("/missing/x"), nullptr);
  EXPECT_FALSE(JsonPlace::Parse("a").ok());
  EXPECT_FALSE(JsonPlace::Parse("/~2").ok());
}

}  // namespace
}  // namespace penstock::executor
