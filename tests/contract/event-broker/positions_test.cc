#include <set>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using Result = pbi::InvocationResult;
using Stub = pb::EventCatalogService::Stub;

class PositionsTest : public EventBrokerTest {
 protected:
  std::set<std::int64_t> Delivered() {
    std::set<std::int64_t> sequences;
    for (const auto& invocation : executor_->invocations()) sequences.insert(invocation.sequence());
    return sequences;
  }
  absl::StatusOr<pb::Subscription> Drain(const std::string& id) {
    pb::DrainSubscriptionRequest request;
    request.set_name(NameOf(id));
    return Call(*catalog_, &Stub::DrainSubscription, request);
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, PositionsTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(PositionsTest, ASubscriptionStartsWhereItIsTold) {
  const auto first = MustPublish("a1");
  const auto second = MustPublish("a2");
  const auto third = MustPublish("a3");
  pb::Subscription wanted = Wanted();
  wanted.mutable_start()->set_sequence(second);
  const auto created = Create("second", wanted);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->start().resolved_sequence(), second);
  ASSERT_TRUE(Eventually([&] { return Delivered() == std::set<std::int64_t>{second, third}; }));
  wanted.clear_start();
  wanted.mutable_start()->set_earliest(true);
  ASSERT_TRUE(Create("all", wanted).ok());
  EXPECT_TRUE(Eventually([&] {
    return Delivered() == std::set<std::int64_t>{first, second, third};
  }));
}

TEST_P(PositionsTest, AStartThatCannotBeIsRefused) {
  MustPublish("a1");
  pb::Subscription wanted = Wanted();
  wanted.mutable_start()->set_sequence(1000);
  const auto above = Create("s", wanted).status();
  EXPECT_TRUE(absl::IsOutOfRange(above)) << above;
  EXPECT_EQ(above.message().find("start.sequence"), 0u) << above;
  wanted.clear_start();
  wanted.mutable_start()->mutable_time()->set_seconds(4'000'000'000);
  EXPECT_EQ(FieldsOf(Create("s", wanted).status()), "start.time");
  wanted.mutable_start()->set_earliest(true);
  EXPECT_EQ(FieldsOf(Create("s", wanted).status()), "start");
}

TEST_P(PositionsTest, ADrainDeliversWhatIsThereAndPauses) {
  executor_->set_answer([](const pbi::Invocation&) { return Result::OUTCOME_UNSPECIFIED; });
  ASSERT_TRUE(Create("orders", Wanted()).ok());
  const auto before = MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 1; }));
  const auto draining = Drain("orders");
  ASSERT_TRUE(draining.ok()) << draining.status();
  EXPECT_EQ(draining->state(), pb::Subscription::DRAINING);
  const auto after = MustPublish("a2");
  executor_->set_answer([](const pbi::Invocation&) { return Result::SUCCEEDED; });
  Restart();  // What was in flight is sent again.
  ASSERT_TRUE(Eventually([&] { return Get("orders")->state() == pb::Subscription::PAUSED; }));
  EXPECT_EQ(Delivered(), (std::set<std::int64_t>{before}));
  pb::ResumeSubscriptionRequest resume;
  resume.set_name(NameOf("orders"));
  ASSERT_TRUE(Call(*catalog_, &Stub::ResumeSubscription, resume).ok());
  EXPECT_TRUE(Eventually([&] { return Delivered().contains(after); }));
  ASSERT_TRUE(Create("route", Routed("/a")).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Drain("route").status()));
}

TEST_P(PositionsTest, ADeletedSubscriptionCanBeAdopted) {
  executor_->set_answer([](const pbi::Invocation&) { return Result::RETRYABLE; });
  pb::Subscription slow = Wanted();
  slow.mutable_retry()->mutable_initial_delay()->set_nanos(0);
  slow.mutable_retry()->mutable_initial_delay()->set_seconds(3600);
  slow.mutable_retry()->mutable_max_delay()->set_seconds(3600);
  const auto first = Create("orders", slow);
  ASSERT_TRUE(first.ok()) << first.status();
  MustPublish("a1");
  ASSERT_TRUE(Eventually([&] { return StatusOf("orders")->retrying() == 1; }));
  Restart();  // Then the retry is durable: what is not is delivered anew.
  ASSERT_TRUE(Eventually([&] { return StatusOf("orders")->retrying() == 1; }));
  ASSERT_TRUE(Delete("orders", true).ok());
  const auto missed = MustPublish("a2");
  executor_->set_answer([](const pbi::Invocation&) { return Result::SUCCEEDED; });
  pb::CreateSubscriptionRequest request;
  request.set_parent("spaces/default");
  request.set_subscription_id("orders");
  *request.mutable_subscription() = slow;
  request.set_adopt_uid("nobody");
  EXPECT_FALSE(Call(*catalog_, &Stub::CreateSubscription, request).ok());
  request.set_adopt_uid(first->uid());
  const auto second = Call(*catalog_, &Stub::CreateSubscription, request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->uid(), first->uid());
  EXPECT_TRUE(Eventually([&] { return Delivered().contains(missed); }));
  EXPECT_TRUE(Eventually([&] { return StatusOf("orders")->retrying() == 1; }));
  EXPECT_EQ(Delivered().size(), 2u);  // The one that failed before, and the one that was missed.
}

}  // namespace
}  // namespace penstock::broker
