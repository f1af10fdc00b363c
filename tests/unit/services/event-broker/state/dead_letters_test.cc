#include "libs/base/status.h"
#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

using Sequences = std::vector<Sequence>;

class DeadLettersTest : public StateTest {
 protected:
  absl::Status Edit(const DeliveryKey& key, int edits, const std::string& event) {
    return Wait(
        [&](auto done) { store_->EditDeadLetter(key, edits, event, "new-id", "new.type", done); });
  }
};
PENSTOCK_FOR_ALL_STORES(DeadLettersTest);

TEST_P(DeadLettersTest, ADeadLetterIsKeptWithItsEvent) {
  ASSERT_TRUE(Commit({}, {SampleLetter(5)}).ok());
  Reopen();
  const auto letter = Get({"uid-orders", 5});
  ASSERT_TRUE(letter.ok()) << letter.status();
  EXPECT_EQ(letter->event, "event 5");
  EXPECT_EQ(letter->event_id, "id5");
  EXPECT_EQ(letter->space, "shop");
  EXPECT_EQ(letter->function, "bill");
  EXPECT_EQ(letter->delivery.reason, DeadReason::kPermanent);
  EXPECT_EQ(letter->delivery.attempts, 3);
  EXPECT_TRUE(absl::IsNotFound(Get({"uid-orders", 6}).status()));
}

TEST_P(DeadLettersTest, ASecondDeathKeepsTheCopyAndThePlace) {
  ASSERT_TRUE(Commit({}, {SampleLetter(5), SampleLetter(6)}).ok());
  StoredDeadLetter again = SampleLetter(5, "orders", DeadReason::kExpired);
  again.event.clear();
  again.delivery.redrives = 1;
  ASSERT_TRUE(Commit({}, {again}).ok());
  const auto page = List(AllLetters());
  ASSERT_EQ(SequencesOf(*page), (std::vector<Sequence>{5, 6}));
  EXPECT_EQ(page->letters[0].event, "event 5");
  EXPECT_EQ(page->letters[0].delivery.reason, DeadReason::kExpired);
  EXPECT_EQ(page->letters[0].delivery.redrives, 1);
}

TEST_P(DeadLettersTest, PagesAreCompleteAndEnd) {
  std::vector<StoredDeadLetter> letters;
  for (Sequence sequence = 1; sequence <= 7; ++sequence) letters.push_back(SampleLetter(sequence));
  ASSERT_TRUE(Commit({}, letters).ok());
  std::vector<Sequence> all;
  DeadLetterQuery query = AllLetters(3);
  int pages = 0;
  do {
    const auto page = List(query);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Sequence sequence : SequencesOf(*page)) all.push_back(sequence);
    query.after = page->next;
    ++pages;
  } while (!query.after.empty() && pages < 10);
  EXPECT_EQ(all, (std::vector<Sequence>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(pages, 3);
  query.after = "nonsense";
  EXPECT_TRUE(absl::IsInvalidArgument(List(query).status()));
}

TEST_P(DeadLettersTest, ListsFilterByEverythingTheyOffer) {
  StoredDeadLetter elsewhere = SampleLetter(9);
  elsewhere.space = "other";
  elsewhere.delivery.key.uid = "uid-elsewhere";
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2, "audit"),
                          SampleLetter(3, "orders", DeadReason::kExpired), elsewhere})
                  .ok());
  EXPECT_EQ(SequencesOf(*List(AllLetters())), (std::vector<Sequence>{1, 2, 3}));
  DeadLetterQuery query = AllLetters();
  query.subscription = "orders";
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{1, 3}));
  query.reason = DeadReason::kExpired;
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{3}));
  query = AllLetters();
  query.event_id = "id2";
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{2}));
  query = AllLetters();
  query.ids = {"uid-orders-3", "uid-audit-2", "uid-elsewhere-9", "none-1"};
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{2, 3}));
}

TEST_P(DeadLettersTest, LettersThatAreRedrivenAreHiddenButReadable) {
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2)}).ok());
  StateTransaction redrive;
  redrive.rows = {{"uid-orders", SampleRow(1)}};
  ASSERT_TRUE(Commit(redrive).ok());
  EXPECT_EQ(SequencesOf(*List(AllLetters())), (std::vector<Sequence>{2}));
  EXPECT_TRUE(Get({"uid-orders", 1}).ok());
  StateTransaction delivered;
  delivered.rows_removed = {{"uid-orders", 1}};
  delivered.dead_removed = {{"uid-orders", 1}};
  ASSERT_TRUE(Commit(delivered).ok());
  EXPECT_EQ(SequencesOf(*List(AllLetters())), (std::vector<Sequence>{2}));
  EXPECT_TRUE(absl::IsNotFound(Get({"uid-orders", 1}).status()));
}

TEST_P(DeadLettersTest, PurgingCountsWhatWasThere) {
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2), SampleLetter(3)}).ok());
  EXPECT_EQ(Count("uid-orders"), 3);
  EXPECT_EQ(Purge({{"uid-orders", 1}, {"uid-orders", 3}, {"uid-orders", 99}}), 2);
  EXPECT_EQ(Count("uid-orders"), 1);
  EXPECT_EQ(Count("nobody"), 0);
}

TEST_P(DeadLettersTest, EverythingOfALetterIsKept) {
  StoredDeadLetter letter = SampleLetter(5, "orders", DeadReason::kRetention);
  letter.delivery.last_sequence = 17;
  letter.delivery.redrives = 2;
  ASSERT_TRUE(Commit({}, {letter}).ok());
  Reopen();
  const auto read = Get({"uid-orders", 5});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->event_type, "order.paid");
  EXPECT_EQ(read->delivery.last_sequence, 17u);
  EXPECT_EQ(read->delivery.redrives, 2);
  EXPECT_EQ(read->delivery.ordering_key, 0xfedcba9876543210);
  EXPECT_EQ(read->delivery.append_time, letter.delivery.append_time);
  EXPECT_EQ(read->delivery.time, letter.delivery.time);
  ASSERT_EQ(read->delivery.log.size(), 1u);
  EXPECT_EQ(read->delivery.log[0].error.message, "it broke [badly]");
  EXPECT_EQ(read->edits, 0);
  EXPECT_EQ(read->original_event, "");
}

TEST_P(DeadLettersTest, TypesAreFoundByPattern) {
  const auto of_type = [](Sequence sequence, const std::string& type) {
    StoredDeadLetter letter = SampleLetter(sequence);
    letter.event_type = type;
    return letter;
  };
  ASSERT_TRUE(Commit({}, {of_type(1, "order.paid"), of_type(2, "order.PAID"), of_type(3, "order.x"),
                          of_type(4, "order[1].paid"), of_type(5, "order?"), of_type(6, "orders"),
                          of_type(7, "penstock.invocation.requested"), of_type(8, "")})
                  .ok());
  const auto found = [&](const std::string& pattern) {
    DeadLetterQuery query = AllLetters();
    query.event_type = pattern;
    return SequencesOf(*List(query));
  };
  EXPECT_EQ(found("order.paid"), (Sequences{1}));
  EXPECT_EQ(found("order.*"), (Sequences{1, 2, 3}));
  EXPECT_EQ(found("*.paid"), (Sequences{1, 4}));
  EXPECT_EQ(found("order[*].*"), (Sequences{4}));
  EXPECT_EQ(found("order?"), (Sequences{5}));
  EXPECT_EQ(found("o*r*d"), (Sequences{1, 4}));
  EXPECT_EQ(found("*"), (Sequences{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(found("nothing*"), (Sequences{}));
  DeadLetterQuery query = AllLetters();
  query.event_type = "*.*.*.*";
  EXPECT_TRUE(absl::IsInvalidArgument(List(query).status()));
}

TEST_P(DeadLettersTest, TheyAreFoundByTimeAndError) {
  StoredDeadLetter silent = SampleLetter(3);
  silent.delivery.log.clear();
  StoredDeadLetter recovered = SampleLetter(4);
  recovered.delivery.log.push_back({});
  recovered.delivery.log.back().error = {"SystemError", "Timeout", "took 5 s"};
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2), silent, recovered}).ok());
  const auto found = [&](auto change) {
    DeadLetterQuery query = AllLetters();
    change(query);
    return SequencesOf(*List(query));
  };
  const WallTime second = SampleLetter(2).delivery.time;
  EXPECT_EQ(found([&](auto& query) { query.from_time = second; }), (Sequences{2, 3, 4}));
  EXPECT_EQ(found([&](auto& query) { query.to_time = second; }), (Sequences{1}));
  EXPECT_EQ(found([&](auto& query) {
              query.from_time = second;
              query.to_time = SampleLetter(3).delivery.time;
            }),
            (Sequences{2}));
  EXPECT_EQ(found([](auto& query) { query.error_contains = "broke [b"; }), (Sequences{1, 2}));
  EXPECT_EQ(found([](auto& query) { query.error_contains = "Timeo"; }), (Sequences{4}));
  EXPECT_EQ(found([](auto& query) { query.error_contains = "BROKE"; }), (Sequences{}));
}

TEST_P(DeadLettersTest, FiltersAndPagesGoTogether) {
  std::vector<StoredDeadLetter> letters;
  for (Sequence sequence = 1; sequence <= 20; ++sequence) {
    letters.push_back(SampleLetter(sequence, sequence % 2 == 0 ? "orders" : "audit"));
  }
  ASSERT_TRUE(Commit({}, letters).ok());
  DeadLetterQuery query = AllLetters(4);
  query.subscription = "orders";
  query.event_type = "order.*";
  Sequences all;
  int pages = 0;
  do {
    const auto page = List(query);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_FALSE(page->letters.empty());
    for (const Sequence sequence : SequencesOf(*page)) all.push_back(sequence);
    query.after = page->next;
  } while (++pages < 10 && !query.after.empty());
  EXPECT_EQ(all, (Sequences{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}));
  EXPECT_EQ(pages, 3);
}

TEST_P(DeadLettersTest, IdsPageInTheOrderOfTheList) {
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2), SampleLetter(3)}).ok());
  DeadLetterQuery query = AllLetters(2);
  query.ids = {"uid-orders-3", "uid-orders-1", "nonsense", "uid-orders-2", "uid-orders-1"};
  const auto first = List(query);
  EXPECT_EQ(SequencesOf(*first), (Sequences{1, 2}));
  query.after = first->next;
  const auto second = List(query);
  EXPECT_EQ(SequencesOf(*second), (Sequences{3}));
  EXPECT_EQ(second->next, "");
}

TEST_P(DeadLettersTest, AnEditKeepsTheFirstEvent) {
  ASSERT_TRUE(Commit({}, {SampleLetter(5)}).ok());
  const DeliveryKey key{"uid-orders", 5};
  ASSERT_TRUE(Edit(key, 0, "second").ok());
  EXPECT_TRUE(absl::IsAborted(Edit(key, 0, "lost")));
  ASSERT_TRUE(Edit(key, 1, "third, longer").ok());
  Reopen();
  const auto letter = Get(key);
  EXPECT_EQ(letter->event, "third, longer");
  EXPECT_EQ(letter->event_id, "new-id");
  EXPECT_EQ(letter->event_type, "new.type");
  EXPECT_EQ(letter->original_event, "event 5");
  EXPECT_EQ(letter->edits, 2);
  EXPECT_EQ(letter->bytes, 13u);
  EXPECT_EQ(Load().dead.at("uid-orders").bytes, 13u);
  // A second death of it does not bring the event of the log back.
  ASSERT_TRUE(Commit({}, {SampleLetter(5)}).ok());
  EXPECT_EQ(Get(key)->event, "third, longer");
  EXPECT_EQ(Get(key)->edits, 2);
}

TEST_P(DeadLettersTest, WhatIsGoneOrOnItsWayCannotBeEdited) {
  EXPECT_TRUE(absl::IsNotFound(Edit({"uid-orders", 5}, 0, "x")));
  StateTransaction redrive;
  redrive.rows = {{"uid-orders", SampleRow(5)}};
  ASSERT_TRUE(Commit(redrive, {SampleLetter(5)}).ok());
  EXPECT_TRUE(absl::IsNotFound(Edit({"uid-orders", 5}, 0, "x")));
  ASSERT_TRUE(Commit({}, {SampleLetter(6, "orders", DeadReason::kRetention)}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Edit({"uid-orders", 6}, 0, "x")));
}

TEST_P(DeadLettersTest, AMissingEventIsFilledInLater) {
  StoredDeadLetter unread = SampleLetter(5);
  unread.event.clear();
  unread.event_id.clear();
  unread.event_type.clear();
  ASSERT_TRUE(Commit({}, {unread}).ok());
  ASSERT_TRUE(Commit({}, {SampleLetter(5)}).ok());
  EXPECT_EQ(Get({"uid-orders", 5})->event, "event 5");
  EXPECT_EQ(Get({"uid-orders", 5})->event_id, "id5");
  EXPECT_EQ(Load().dead.at("uid-orders").bytes, 7u);
}

TEST_P(DeadLettersTest, TheyAreCountedByLane) {
  StoredDeadLetter of_replay = SampleLetter(3);
  of_replay.delivery.key.uid = "uid-orders.r1";
  StoredDeadLetter other = SampleLetter(4);
  other.delivery.key.uid = "uid-orders2";
  ASSERT_TRUE(Commit({}, {SampleLetter(1), SampleLetter(2), of_replay, other}).ok());
  const SavedDeliveryState state = Load();
  ASSERT_EQ(state.dead.size(), 3u);
  EXPECT_EQ(state.dead.at("uid-orders").letters, 2u);
  EXPECT_EQ(state.dead.at("uid-orders").bytes, 14u);
  EXPECT_EQ(state.dead.at("uid-orders.r1").letters, 1u);
  // A subscription's are those of its replays too.
  EXPECT_EQ(Count("uid-orders"), 3);
}

TEST_P(DeadLettersTest, TheFirstLetterOfEachFailedKeyIsKnown) {
  const auto of_key = [](Sequence sequence, std::uint64_t key, DeadReason reason, int redrives) {
    StoredDeadLetter letter = SampleLetter(sequence, "orders", reason);
    letter.delivery.ordering_key = key;
    letter.delivery.redrives = redrives;
    return letter;
  };
  const std::uint64_t high = 0xfedcba9876543210;
  StateTransaction redrive;
  redrive.rows = {{"uid-orders", SampleRow(8)}};
  ASSERT_TRUE(
      Commit(redrive,
             {of_key(5, high, DeadReason::kKeyFailed, 0),
              of_key(7, high, DeadReason::kPermanent, 0), of_key(6, high, DeadReason::kExpired, 0),
              of_key(4, high, DeadReason::kPermanent, 1), of_key(3, 0, DeadReason::kPermanent, 0),
              of_key(8, 2, DeadReason::kPermanent, 0), of_key(9, 3, DeadReason::kKeyFailed, 0),
              of_key(10, 4, DeadReason::kPermanent, 0), of_key(11, 5, DeadReason::kRetention, 0)})
          .ok());
  Reopen();
  const std::map<std::uint64_t, Sequence> wanted = {{high, 6}, {4, 10}};
  EXPECT_EQ(Load().dead.at("uid-orders").failed_keys, wanted);
}

}  // namespace
}  // namespace penstock::broker
