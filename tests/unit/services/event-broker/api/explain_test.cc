#include "services/event-broker/api/explain.h"

#include <gtest/gtest.h>

#include "libs/base/fake_clock.h"
#include "tests/support/event-broker/memory_state_store.h"
#include "tests/unit/services/event-broker/api/api_fakes.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using Explanation = pb::SubscriptionExplanation;

StoredRevision Revision(const std::string& id, std::int64_t revision, Sequence effective,
                        const std::string& type, bool deleted = false) {
  StoredRevision stored;
  stored.subscription.space = "default";
  stored.subscription.id = id;
  stored.subscription.uid = "uid-" + id;
  stored.subscription.revision = revision;
  stored.subscription.match_revision = revision;
  stored.subscription.effective_sequence = effective;
  stored.subscription.state = SubscriptionState::kActive;
  stored.subscription.event_type = type;
  stored.subscription.function = "bill";
  stored.deleted = deleted;
  return stored;
}

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    log_.Add("user.created", "e1");
    log_.Add("order.paid", "e2");
    log_.Add("order.paid", "e3", "/warehouse");
  }

  void Load(std::vector<StoredRevision> revisions) { catalog_.Load(std::move(revisions)); }

  absl::StatusOr<pb::ExplainEventResponse> Ask(pb::ExplainEventRequest request) {
    Explainer::Limits limits;
    limits.listed_max = listed_max_;
    // Each look at the clock costs this much.
    limits.cpu_time = [this] { return cpu_ += cpu_per_look_; };
    const Explainer explainer({log_, catalog_, delivery_, letters_}, PublishRules(), limits);
    absl::StatusOr<pb::ExplainEventResponse> answer = absl::UnknownError("no answer");
    explainer.Explain(request, [&](absl::StatusOr<pb::ExplainEventResponse> given) {
      answer = std::move(given);
    });
    return answer;
  }
  pb::ExplainEventResponse Explain(const std::string& id, bool all = false) {
    pb::ExplainEventRequest request;
    request.set_id(id);
    request.set_all(all);
    auto answer = Ask(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : pb::ExplainEventResponse();
  }
  // "id state" of each subscription.
  static std::vector<std::string> LinesOf(const pb::ExplainEventResponse& response) {
    std::vector<std::string> lines;
    for (const auto& one : response.subscriptions()) {
      lines.push_back(
          one.subscription().substr(29) + " " +
          (one.matched() ? Explanation::DeliveryState_Name(one.delivery_state()) : one.clause()));
    }
    return lines;
  }

  MemoryStateStore store_;
  NoReferences references_;
  FakeClock clock_;
  MemoryLog log_;
  MemoryDelivery delivery_;
  MemoryDeadLetters letters_;
  SubscriptionCatalog catalog_{log_, store_, references_, clock_,
                               [](const std::function<void()>& work) {
                                 work();
                                 return true;
                               }};
  std::size_t listed_max_ = 200;
  Microseconds cpu_{0};
  Microseconds cpu_per_look_{0};
};
using Lines = std::vector<std::string>;

TEST_F(ExplainTest, WhatMatchedComesFirstThenWhatMetOnlyTheType) {
  StoredRevision filtered = Revision("a", 1, 1, "order.*");
  filtered.subscription.filters = {{Filter::Kind::kExact, {{"source", "/none"}}, {}}};
  Load({filtered, Revision("b", 1, 1, "order.paid"), Revision("c", 1, 1, "user.*")});
  delivery_.places[{"uid-b", 2}].place = DeliveryPlace::kDone;
  EXPECT_EQ(LinesOf(Explain("e2")), (Lines{"b DELIVERED", "a filters[0].exact.source"}));
  EXPECT_EQ(LinesOf(Explain("e2", true)),
            (Lines{"b DELIVERED", "a filters[0].exact.source", "c eventType"}));
  const auto one = Explain("sequence:2");
  EXPECT_EQ(one.event().sequence(), 2);
  EXPECT_EQ(one.subscriptions(0).delivery_id(), "uid-b-2");
  EXPECT_EQ(one.subscriptions(0).clause(), "eventType");
}

TEST_F(ExplainTest, TheRevisionInForceAtTheSequenceIsAsked) {
  Load({Revision("a", 1, 1, "user.*"), Revision("a", 2, 3, "order.*"),
        Revision("late", 1, 3, "order.*")});
  EXPECT_EQ(LinesOf(Explain("e2", true)), (Lines{"a eventType"}));
  const auto third = Explain("e3");
  EXPECT_EQ(third.subscriptions_size(), 2);
  EXPECT_EQ(third.subscriptions(0).revision(), 2);
}

TEST_F(ExplainTest, AStartInThePastMeetsWhatWasBeforeTheCreation) {
  StoredRevision early = Revision("a", 1, 3, "order.*");
  early.subscription.start.kind = StartPosition::Kind::kSequence;
  early.subscription.start.resolved = 2;
  Load({early});
  EXPECT_EQ(Explain("e2").subscriptions_size(), 1);
  EXPECT_EQ(Explain("e1", true).subscriptions_size(), 0);
}

TEST_F(ExplainTest, ADeletedSubscriptionIsSaidToHaveDroppedIt) {
  Load({Revision("a", 1, 1, "order.*"), Revision("a", 2, 3, "order.*", true)});
  EXPECT_EQ(LinesOf(Explain("e2")), (Lines{"a DROPPED"}));
  EXPECT_EQ(Explain("e3", true).subscriptions_size(), 0);
}

TEST_F(ExplainTest, ADeadLetterTellsItsAttempts) {
  Load({Revision("a", 1, 1, "order.*")});
  delivery_.places[{"uid-a", 2}].place = DeliveryPlace::kDone;
  StoredDeadLetter letter;
  letter.delivery.key = {"uid-a", 2};
  letter.delivery.attempts = 4;
  AttemptRecord attempt;
  attempt.attempt = 4;
  attempt.error.message = "it broke";
  attempt.http_status = 503;
  letter.delivery.log = {attempt};
  letters_.letters[{"uid-a", 2}] = letter;
  const auto one = Explain("e2").subscriptions(0);
  EXPECT_EQ(one.delivery_state(), Explanation::DEAD_LETTER);
  EXPECT_EQ(one.attempt_count(), 4);
  EXPECT_EQ(one.attempts(0).http_status(), 503);
  EXPECT_EQ(one.last_error().message(), "it broke");
  // On its way again: where it is counts more.
  delivery_.places[{"uid-a", 2}].place = DeliveryPlace::kRetrying;
  EXPECT_EQ(Explain("e2").subscriptions(0).delivery_state(), Explanation::RETRYING);
}

TEST_F(ExplainTest, WhatWasSentToASinkIsFoundInTheLog) {
  StoredRevision sunk = Revision("a", 1, 1, "order.*");
  sunk.subscription.dead_letter_sink.event_type = "order.lost";
  Load({sunk});
  delivery_.places[{"uid-a", 2}].place = DeliveryPlace::kDone;
  EXPECT_EQ(LinesOf(Explain("e2")), (Lines{"a DELIVERED"}));
  log_.Add("order.lost", "uid-a-2", "/spaces/default/deadLetters");
  EXPECT_EQ(LinesOf(Explain("e2")), (Lines{"a DEAD_LETTER"}));
}

TEST_F(ExplainTest, WaitingIsExplainedWithItsTime) {
  Load({Revision("a", 1, 1, "order.*")});
  DeliveryWhereabouts& place = delivery_.places[{"uid-a", 2}];
  place.place = DeliveryPlace::kRetrying;
  place.attempts_sent = 2;
  place.due = FromUnixMicros(1'700'000'100'000'000);
  const auto one = Explain("e2").subscriptions(0);
  EXPECT_EQ(one.attempt_count(), 2);
  EXPECT_EQ(one.due_time().seconds(), 1'700'000'100);
  EXPECT_EQ(one.waits_for(), "its next attempt");
  place.block = LaneBlock::kBreakerOpen;
  EXPECT_EQ(Explain("e2").subscriptions(0).waits_for(), "the breaker of its function to close");
  place.paused = true;
  EXPECT_EQ(Explain("e2").subscriptions(0).waits_for(),
            "the subscription to be resumed: it is paused");
}

TEST_F(ExplainTest, PagesGoThroughAllSubscriptionsOnce) {
  std::vector<StoredRevision> revisions;
  for (int i = 0; i < 7; ++i) {
    revisions.push_back(Revision("s" + std::to_string(i), 1, 1, i % 2 ? "order.*" : "order.paid"));
  }
  Load(std::move(revisions));
  const auto count_pages = [this] {
    pb::ExplainEventRequest request;
    request.set_id("e2");
    std::set<std::string> seen;
    int pages = 0;
    do {
      const auto page = Ask(request);
      if (!page.ok() || ++pages > 20) return std::string("refused or without end");
      for (const auto& one : page->subscriptions()) {
        if (!seen.insert(one.subscription()).second) return std::string("twice");
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return std::to_string(seen.size()) + " in " + std::to_string(pages);
  };
  listed_max_ = 3;
  EXPECT_EQ(count_pages(), "7 in 3");
  listed_max_ = 200;
  EXPECT_EQ(count_pages(), "7 in 1");
  cpu_per_look_ = Microseconds(40'000);  // The budget is used up by the third look.
  EXPECT_EQ(count_pages(), "7 in 3");
  pb::ExplainEventRequest other;
  other.set_id("e3");
  other.set_page_token("zz");
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(other).status()));
}

TEST_F(ExplainTest, OneSubscriptionCanBeAskedFor) {
  Load({Revision("a", 1, 1, "order.*"), Revision("b", 1, 1, "user.*")});
  pb::ExplainEventRequest request;
  request.set_id("e2");
  request.set_subscription("spaces/default/subscriptions/b");
  EXPECT_EQ(LinesOf(*Ask(request)), (Lines{"b eventType"}));
  request.set_subscription("spaces/other/subscriptions/b");
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(request).status()));
}

TEST_F(ExplainTest, EventsAndFailuresAreNamed) {
  Load({Revision("a", 1, 1, "order.*")});
  pb::ExplainEventRequest request;
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(request).status()));
  request.set_id("none");
  EXPECT_TRUE(absl::IsNotFound(Ask(request).status()));
  request.set_id("e2");
  letters_.failure = absl::UnavailableError("the store is busy");
  EXPECT_TRUE(absl::IsUnavailable(Ask(request).status()));
}

TEST(WaitsForTest, EveryPlaceHasWords) {
  Subscription subscription;
  DeliveryWhereabouts place;
  place.place = DeliveryPlace::kHeld;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "an earlier event of its key");
  place.place = DeliveryPlace::kInFlight;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "the function to answer");
  subscription.pull.emplace();
  EXPECT_EQ(WaitsFor(place, subscription, 7), "a consumer to acknowledge it");
  place.to_sink = true;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "the dead-letter sink to take it");
  place.place = DeliveryPlace::kNotReached;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "earlier events of the subscription");
  place.place = DeliveryPlace::kWaiting;
  place.block = LaneBlock::kNoConsumer;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "a consumer: none is connected that takes more");
  subscription.drain_to = 7;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "a consumer: none is connected that takes more");
  subscription.drain_to = 6;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "the subscription to be resumed: it was drained");
  place.place = DeliveryPlace::kDone;
  EXPECT_EQ(WaitsFor(place, subscription, 7), "");
}

}  // namespace
}  // namespace penstock::broker
