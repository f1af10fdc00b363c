// Streams of deliveries.
#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/cloudevents/http_binding.h"
#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

using Result = ipb::InvocationResult;

class DeliveriesTest : public ExecutorTest {};

INSTANTIATE_TEST_SUITE_P(Transports, DeliveriesTest, ::testing::Bool(), TransportName);

TEST_P(DeliveriesTest, NeedsThePeerCredential) {
  StartNode();
  DeliveryClient nobody(ChannelTo(*node_), nullptr);
  EXPECT_EQ(nobody.WaitForEnd().code(), absl::StatusCode::kUnauthenticated);
  DeliveryClient stranger(ChannelTo(*node_), rpc::PeerAuth::Random());
  EXPECT_EQ(stranger.WaitForEnd().code(), absl::StatusCode::kPermissionDenied);
}

TEST_P(DeliveriesTest, GreetsThenAnswersEachAttempt) {
  manager_->Put("echo", Noop());
  StartNode();
  const auto stream = OpenStream();
  EXPECT_EQ(stream->WaitForInstance().size(), 8U);
  EXPECT_EQ(stream->WaitForCredit(), 256);
  stream->Send({Delivery("d1", "echo")});
  const Result result = stream->WaitForResult("d1");
  EXPECT_EQ(result.outcome(), Result::SUCCEEDED);
  EXPECT_EQ(result.attempt(), 1);
  EXPECT_EQ(result.epoch(), 1);
  EXPECT_TRUE(result.execution().starts_with("spaces/default/executions/" +
                                             stream->WaitForInstance() + "-"));
}

TEST_P(DeliveriesTest, FiveThousandAtOnceEachGetOneResult) {
  manager_->Put("echo", Noop());
  Config config = MakeConfig("executor-of-test");
  config.deliveries_credit = 5000;
  node_ = std::make_unique<Node>(config);
  WaitUntilReady(*node_);
  const auto stream = OpenStream();
  std::vector<ipb::Invocation> all;
  for (int i = 0; i < 5000; ++i) all.push_back(Delivery("d" + std::to_string(i), "echo"));
  stream->Send(std::move(all));
  std::set<std::string> seen;
  for (const Result& result : stream->WaitForResults(5000)) {
    EXPECT_EQ(result.outcome(), Result::SUCCEEDED) << result.error().message();
    EXPECT_TRUE(seen.insert(result.delivery_id()).second) << "twice: " << result.delivery_id();
  }
  EXPECT_EQ(seen.size(), 5000U);
  EXPECT_LE(stream->results_in_largest_message(), 256U);
  stream->HalfClose();
  EXPECT_TRUE(stream->WaitForEnd().ok());
}

TEST_P(DeliveriesTest, WhatIsBeyondTheCreditIsRejectedAtOnce) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  Config config = MakeConfig("executor-of-test");
  config.deliveries_credit = 4;
  node_ = std::make_unique<Node>(config);
  WaitUntilReady(*node_);
  const auto stream = OpenStream();
  std::vector<ipb::Invocation> all;
  for (int i = 0; i < 10; ++i) all.push_back(Delivery("d" + std::to_string(i), "slow"));
  stream->Send(std::move(all));
  for (const Result& result : stream->WaitForResults(6)) {
    EXPECT_EQ(result.outcome(), Result::REJECTED);
    EXPECT_TRUE(result.has_retry_after());
    EXPECT_EQ(result.error().type(), "Busy");
  }
  WaitForHanging(4);
  Release();
  const auto results = stream->WaitForResults(10);
  EXPECT_EQ(std::count_if(results.begin(), results.end(),
                          [](const Result& r) { return r.outcome() == Result::SUCCEEDED; }),
            4);
}

TEST_P(DeliveriesTest, OutcomesFollowTheTable) {
  manager_->Put("fail", HttpTo(Url("/fail")));
  manager_->Put("nowhere", HttpTo("http://127.0.0.1:1/"));
  manager_->Put("py", Python("import penstock\n"
                             "def handle(ctx, payload):\n"
                             "    raise penstock.InputError('no such user')\n"));
  StartNode();
  const auto stream = OpenStream();
  ipb::Invocation malformed = Delivery("malformed", "fail");
  malformed.set_event("\xff\xff\xff");
  ipb::Invocation nameless = Delivery("nameless", "fail");
  nameless.set_function("fail");
  ipb::Invocation behind = Delivery("behind", "fail");
  behind.set_min_function_revision(99);
  stream->Send({Delivery("fail", "fail"), Delivery("nowhere", "nowhere"), Delivery("py", "py"),
                Delivery("unknown", "unknown"), malformed, nameless, behind});
  const Result fail = stream->WaitForResult("fail");
  EXPECT_EQ(fail.outcome(), Result::RETRYABLE);
  EXPECT_EQ(fail.http_status(), 500);
  EXPECT_EQ(fail.error().type(), "HttpStatus");
  const Result nowhere = stream->WaitForResult("nowhere");
  EXPECT_EQ(nowhere.outcome(), Result::RETRYABLE);
  EXPECT_EQ(nowhere.error().type(), "ConnectFailed");
  const Result py = stream->WaitForResult("py");
  EXPECT_EQ(py.outcome(), Result::PERMANENT);
  EXPECT_EQ(py.error().category(), "InputError");
  const Result unknown = stream->WaitForResult("unknown");
  EXPECT_EQ(unknown.outcome(), Result::RETRYABLE);
  EXPECT_EQ(unknown.error().type(), "NotFound");
  EXPECT_EQ(unknown.error().category(), "SystemError");
  EXPECT_EQ(stream->WaitForResult("malformed").outcome(), Result::PERMANENT);
  EXPECT_EQ(stream->WaitForResult("nameless").outcome(), Result::PERMANENT);
  EXPECT_EQ(stream->WaitForResult("behind").outcome(), Result::REJECTED);
}

TEST_P(DeliveriesTest, AnEventAsTheAnswerComesBack) {
  manager_->Put("reply", Python("import json\n"
                                "def handle(ctx, payload):\n"
                                "    return {'specversion': '1.0', 'id': 'r1', 'source': '/f',\n"
                                "            'type': 'answer', 'data': payload}\n"));
  manager_->Put("echo", Noop());
  StartNode();
  const auto stream = OpenStream();
  ipb::Invocation event = Delivery("d1", "echo");
  cloudevents::CloudEvent inner = *cloudevents::FromProtobuf(event.event());
  (*inner.mutable_attributes())["datacontenttype"].set_ce_string("application/cloudevents+json");
  inner.set_binary_data(R"({"specversion":"1.0","id":"r1","source":"/f","type":"answer"})");
  event.set_event(cloudevents::ToProtobuf(inner));
  stream->Send({event, Delivery("d2", "reply")});
  const auto reply = cloudevents::FromProtobuf(stream->WaitForResult("d1").reply());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->id(), "r1");
  EXPECT_TRUE(stream->WaitForResult("d2").reply().empty()) << "JSON, and no event";
}

TEST_P(DeliveriesTest, AStaleEpochIsRefused) {
  manager_->Put("echo", Noop());
  StartNode();
  const auto stream = OpenStream();
  ipb::Invocation newer = Delivery("new", "echo");
  newer.set_epoch(7);
  ipb::Invocation elsewhere = Delivery("elsewhere", "echo");
  elsewhere.set_subscription("spaces/default/subscriptions/s2");
  stream->Send({newer, Delivery("old", "echo"), elsewhere});
  EXPECT_EQ(stream->WaitForResult("new").outcome(), Result::SUCCEEDED);
  const Result old = stream->WaitForResult("old");
  EXPECT_EQ(old.outcome(), Result::REJECTED);
  EXPECT_EQ(old.error().type(), "StaleEpoch");
  EXPECT_EQ(stream->WaitForResult("elsewhere").outcome(), Result::SUCCEEDED);
}

TEST_P(DeliveriesTest, CancelEndsAnAttemptThatStillGetsItsResult) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  const auto stream = OpenStream();
  const ipb::Invocation delivery = Delivery("d1", "slow");
  stream->Send({delivery});
  WaitForHanging(1);
  stream->Cancel(delivery);
  const Result result = stream->WaitForResult("d1");
  EXPECT_EQ(result.outcome(), Result::RETRYABLE);
  EXPECT_EQ(result.error().type(), "Cancelled");
  EXPECT_TRUE(Eventually([&] { return gone() == 1; }));
}

TEST_P(DeliveriesTest, ABrokenStreamEndsItsCalls) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  const auto lost = OpenStream();
  const auto other = OpenStream();
  lost->Send({Delivery("d1", "slow"), Delivery("d2", "slow")});
  WaitForHanging(2);
  other->Send({Delivery("d3", "slow")});
  WaitForHanging(3);
  lost->Break();
  EXPECT_TRUE(Eventually([&] { return gone() == 2; }));
  EXPECT_TRUE(Eventually([&] {
    return List([](auto& request) {
             request.set_state(pb::Execution::RUNNING);
           }).executions_size() == 1;
  }));
  Release();
  EXPECT_EQ(other->WaitForResult("d3").outcome(), Result::SUCCEEDED);
}

TEST_P(DeliveriesTest, AHalfClosedStreamStillGetsItsResults) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  const auto stream = OpenStream();
  stream->Send({Delivery("d1", "slow")});
  WaitForHanging(1);
  stream->HalfClose();
  Release();
  EXPECT_EQ(stream->WaitForResult("d1").outcome(), Result::SUCCEEDED);
  EXPECT_TRUE(stream->WaitForEnd().ok());
}

TEST_P(DeliveriesTest, StoppingDrainsTheStreams) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  manager_->Put("echo", Noop());
  StartNode();
  const auto stream = OpenStream();
  stream->Send({Delivery("d1", "slow")});
  WaitForHanging(1);
  auto stopping = std::async(std::launch::async, [&] { node_->Stop(std::chrono::seconds(20)); });
  ASSERT_TRUE(stream->WaitForDraining());
  stream->Send({Delivery("d2", "echo")});
  const Result refused = stream->WaitForResult("d2");
  EXPECT_EQ(refused.outcome(), Result::REJECTED);
  Release();
  EXPECT_EQ(stream->WaitForResult("d1").outcome(), Result::SUCCEEDED);
  EXPECT_TRUE(stream->WaitForEnd().ok());
  stopping.get();
}

TEST_P(DeliveriesTest, StoppingCancelsWhatDoesNotEnd) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  const auto stream = OpenStream();
  stream->Send({Delivery("d1", "slow")});
  WaitForHanging(1);
  const auto begin = std::chrono::steady_clock::now();
  node_->Stop(std::chrono::milliseconds(500));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  stream->WaitForEnd().IgnoreError();
  EXPECT_EQ(gone(), 1U);
}

}  // namespace
}  // namespace penstock::executor
