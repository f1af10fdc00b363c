#include <set>

#include "tests/contract/event-broker/fixture.h"

namespace penstock::broker {
namespace {

using Result = pbi::InvocationResult;
using Stub = pb::EventCatalogService::Stub;

class DeadLettersTest : public EventBrokerTest {
 protected:
  // Every event becomes a dead letter at once, until Succeed.
  DeadLettersTest() {
    executor_->set_answer([](const pbi::Invocation&) { return Result::PERMANENT; });
  }
  void Succeed() {
    executor_->set_answer([](const pbi::Invocation&) { return Result::SUCCEEDED; });
  }
  void MakeLetters(int count) {
    ASSERT_TRUE(Create("orders", Wanted("*")).ok());
    for (int i = 0; i < count; ++i) {
      MustPublish("a" + std::to_string(i), i % 2 == 0 ? "order.paid" : "user.created");
    }
    ASSERT_TRUE(
        Eventually([&] { return DeadLetters().size() == static_cast<std::size_t>(count); }));
  }
  // Ids of the events of all pages, oldest first.
  std::string IdsOf(pb::ListDeadLettersRequest request) {
    request.set_parent("spaces/default");
    std::string ids;
    for (int pages = 0; pages < 20; ++pages) {
      const auto page = Call(*catalog_, &Stub::ListDeadLetters, request);
      if (!page.ok()) return FieldsOf(page.status());
      for (const auto& letter : page->dead_letters()) ids += letter.event().id();
      if (page->next_page_token().empty()) return ids;
      request.set_page_token(page->next_page_token());
    }
    return "without end";
  }
  absl::StatusOr<pb::DeadLetter> Edit(const pb::DeadLetter& letter) {
    pb::UpdateDeadLetterRequest request;
    *request.mutable_dead_letter() = letter;
    return Call(*catalog_, &Stub::UpdateDeadLetter, request);
  }
};
INSTANTIATE_TEST_SUITE_P(Transports, DeadLettersTest,
                         testing::Values(Transport::kTcp, Transport::kInProcess));

TEST_P(DeadLettersTest, ListsTakeEveryCondition) {
  MakeLetters(6);
  pb::ListDeadLettersRequest request;
  request.set_page_size(2);
  EXPECT_EQ(IdsOf(request), "a0a1a2a3a4a5");
  request.set_event_type("order.*");
  EXPECT_EQ(IdsOf(request), "a0a2a4");
  request.set_error_contains("it broke");
  EXPECT_EQ(IdsOf(request), "a0a2a4");
  request.set_error_contains("something else");
  EXPECT_EQ(IdsOf(request), "");
  request.Clear();
  request.set_reason(pb::DeadLetter::PERMANENT_FAILURE);
  EXPECT_EQ(IdsOf(request), "a0a1a2a3a4a5");
  request.set_reason(pb::DeadLetter::EXPIRED);
  EXPECT_EQ(IdsOf(request), "");
  request.set_reason(static_cast<pb::DeadLetter::Reason>(99));
  EXPECT_EQ(IdsOf(request), "reason");
  request.Clear();
  request.mutable_to_time()->set_seconds(1'000'000'000);
  EXPECT_EQ(IdsOf(request), "");
  request.mutable_from_time()->set_seconds(2'000'000'000);
  EXPECT_EQ(IdsOf(request), "toTime");
  request.Clear();
  request.set_event_type("a*b*c*d*e");
  EXPECT_EQ(IdsOf(request), "eventType");
}

TEST_P(DeadLettersTest, AnEditMakesANewEventThatKeepsTheOldOne) {
  MakeLetters(1);
  pb::DeadLetter letter = DeadLetters()[0];
  const std::string etag = letter.etag();
  letter.mutable_event()->set_text_data("repaired");
  const auto edited = Edit(letter);
  ASSERT_TRUE(edited.ok()) << edited.status();
  EXPECT_EQ(edited->event().text_data(), "repaired");
  EXPECT_EQ(edited->event().attributes().at("editedfrom").ce_string(), "a0");
  EXPECT_NE(edited->event().id(), "a0");
  EXPECT_EQ(edited->original_event().text_data(), "data");
  EXPECT_NE(edited->etag(), etag);
  EXPECT_TRUE(absl::IsAborted(Edit(letter).status()));  // Its etag is stale now.

  pb::DeadLetter again = *edited;
  again.mutable_event()->set_text_data("repaired twice");
  const auto twice = Edit(again);
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(twice->event().attributes().at("editedfrom").ce_string(), "a0");
  EXPECT_EQ(twice->original_event().text_data(), "data");

  Succeed();
  pb::RedriveDeadLettersRequest redrive;
  redrive.set_parent("spaces/default");
  redrive.add_names(letter.name());
  EXPECT_EQ(Call(*catalog_, &Stub::RedriveDeadLetters, redrive)->redriven_count(), 1);
  ASSERT_TRUE(Eventually([&] { return executor_->count() == 2; }));
  CloudEvent event;
  ASSERT_TRUE(event.ParseFromString(executor_->invocations().back().event()));
  EXPECT_EQ(event.text_data(), "repaired twice");
  EXPECT_TRUE(Eventually([&] { return DeadLetters().empty(); }));
}

TEST_P(DeadLettersTest, EditsThatAreNoEventAreRefused) {
  MakeLetters(1);
  pb::DeadLetter letter = DeadLetters()[0];
  letter.mutable_event()->set_source("");
  EXPECT_EQ(FieldsOf(Edit(letter).status()), "deadLetter.event.source");
  letter.clear_event();
  EXPECT_EQ(FieldsOf(Edit(letter).status()), "deadLetter.event");
  letter = DeadLetters()[0];
  letter.mutable_event()->set_type("penstock.mine");
  EXPECT_EQ(FieldsOf(Edit(letter).status()), "deadLetter.event.type");
  letter.set_name("spaces/default/deadLetters/nothing-1");
  EXPECT_TRUE(absl::IsNotFound(Edit(letter).status()));
  pb::UpdateDeadLetterRequest request;
  *request.mutable_dead_letter() = DeadLetters()[0];
  request.mutable_update_mask()->add_paths("reason");
  EXPECT_EQ(FieldsOf(Call(*catalog_, &Stub::UpdateDeadLetter, request).status()), "updateMask");
  EXPECT_EQ(DeadLetters()[0].event().text_data(), "data");
}

TEST_P(DeadLettersTest, RedriveAndPurgeTakeConditions) {
  MakeLetters(6);
  pb::PurgeDeadLettersRequest purge;
  purge.set_parent("spaces/default");
  const auto purge_fields = [&] {
    return FieldsOf(Call(*catalog_, &Stub::PurgeDeadLetters, purge).status());
  };
  EXPECT_EQ(purge_fields(), "names");
  purge.set_all(true);
  purge.set_subscription("orders");
  EXPECT_EQ(purge_fields(), "all");
  purge.set_all(false);
  purge.set_event_type("user.*");
  EXPECT_EQ(Call(*catalog_, &Stub::PurgeDeadLetters, purge)->purged_count(), 3);
  EXPECT_EQ(IdsOf({}), "a0a2a4");
  EXPECT_EQ(StatusOf("orders")->dead_letters(), 3);

  Succeed();
  pb::RedriveDeadLettersRequest redrive;
  redrive.set_parent("spaces/default");
  redrive.set_rate_per_second(2'000'000);
  redrive.set_all(true);
  EXPECT_EQ(FieldsOf(Call(*catalog_, &Stub::RedriveDeadLetters, redrive).status()),
            "ratePerSecond");
  redrive.set_rate_per_second(1000);
  redrive.set_reason(pb::DeadLetter::EXPIRED);
  EXPECT_EQ(Call(*catalog_, &Stub::RedriveDeadLetters, redrive)->redriven_count(), 0);
  redrive.set_reason(pb::DeadLetter::PERMANENT_FAILURE);
  EXPECT_EQ(Call(*catalog_, &Stub::RedriveDeadLetters, redrive)->redriven_count(), 3);
  EXPECT_TRUE(Eventually([&] { return executor_->count() == 9 && DeadLetters().empty(); }));
}

TEST_P(DeadLettersTest, RedrivenLettersGiveBackTheirBytes) {
  config_.dead_letter_bytes_max = 1000;
  Restart();
  ASSERT_TRUE(Create("orders", Wanted("*")).ok());
  ASSERT_TRUE(Publish(Event("large", "order.paid", std::string(2000, 'x'))).ok());
  ASSERT_TRUE(Eventually([&] { return DeadLetters().size() == 1; }));
  MustPublish("next");
  Succeed();
  pb::RedriveDeadLettersRequest redrive;
  redrive.set_parent("spaces/default");
  redrive.set_all(true);
  EXPECT_EQ(Call(*catalog_, &Stub::RedriveDeadLetters, redrive)->redriven_count(), 1);
  EXPECT_TRUE(Eventually([&] { return executor_->count() == 3 && DeadLetters().empty(); }));
}

}  // namespace
}  // namespace penstock::broker
