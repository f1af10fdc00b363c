#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

using DeliveryStateTest = StateTest;

RetryRow Row(Sequence sequence) {
  RetryRow row;
  row.position = {sequence, FromUnixMicros(1'700'000'000'000'000)};
  row.attempts_made = 2;
  row.lost = 1;
  row.rejected = 4;
  row.due = FromUnixMicros(1'700'000'005'000'000);
  row.delay = Microseconds(5'000'000);
  row.age_from = FromUnixMicros(1'699'999'999'000'000);
  row.redrives = 3;
  AttemptRecord attempt;
  attempt.attempt = 2;
  attempt.error = {"FunctionError", "Boom", "it broke"};
  row.log = {attempt};
  return row;
}

StoredDeadLetter Letter(Sequence sequence, const std::string& subscription = "orders",
                        DeadReason reason = DeadReason::kPermanent) {
  StoredDeadLetter letter;
  letter.delivery.key = {"uid-" + subscription, sequence};
  letter.delivery.reason = reason;
  letter.delivery.attempts = 3;
  letter.delivery.time = FromUnixMicros(1'700'000'000'000'000);
  letter.space = "shop";
  letter.subscription = subscription;
  letter.function = "bill";
  letter.event = "event " + std::to_string(sequence);
  letter.event_id = "id" + std::to_string(sequence);
  return letter;
}

std::vector<Sequence> SequencesOf(const DeadLetterPage& page) {
  std::vector<Sequence> sequences;
  for (const auto& letter : page.letters) sequences.push_back(letter.delivery.key.sequence);
  return sequences;
}

DeadLetterQuery All(std::size_t limit = 50) {
  DeadLetterQuery query;
  query.space = "shop";
  query.limit = limit;
  return query;
}

TEST_F(DeliveryStateTest, EverythingIsThereAfterReopening) {
  StateTransaction transaction;
  transaction.matched_through = 50;
  transaction.cursors["u1"] = {40, {42, 43, kMaxSequence / 2}};
  transaction.rows = {{"u1", Row(41)}, {"u2", Row(7)}};
  ASSERT_TRUE(Commit(transaction).ok());
  Reopen();
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 50u);
  ASSERT_EQ(state.cursors.size(), 1u);
  EXPECT_EQ(state.cursors.at("u1").floor, 40u);
  EXPECT_EQ(state.cursors.at("u1").acked, (std::vector<Sequence>{42, 43, kMaxSequence / 2}));
  ASSERT_EQ(state.rows.size(), 2u);
  const RetryRow row = state.rows.at("u1").at(0);
  EXPECT_EQ(row.position.sequence, 41u);
  EXPECT_EQ(row.position.append_time, Row(41).position.append_time);
  EXPECT_EQ(row.attempts_made, 2);
  EXPECT_EQ(row.lost, 1);
  EXPECT_EQ(row.rejected, 4);
  EXPECT_EQ(row.due, Row(41).due);
  EXPECT_EQ(row.delay, Row(41).delay);
  EXPECT_EQ(row.age_from, Row(41).age_from);
  EXPECT_EQ(row.redrives, 3);
  ASSERT_EQ(row.log.size(), 1u);
  EXPECT_EQ(row.log[0].error.type, "Boom");
}

TEST_F(DeliveryStateTest, LaterTransactionsReplaceAndRemove) {
  StateTransaction first;
  first.matched_through = 50;
  first.cursors["u1"] = {40, {42}};
  first.cursors["u2"] = {30, {}};
  first.rows = {{"u1", Row(41)}, {"u1", Row(42)}, {"u2", Row(7)}};
  ASSERT_TRUE(Commit(first).ok());
  StateTransaction second;
  second.matched_through = 60;
  second.cursors_removed = {"u1"};
  second.rows_removed = {{"u1", 41}};
  second.forgotten = {"u2"};
  ASSERT_TRUE(Commit(second).ok());
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 60u);
  EXPECT_TRUE(state.cursors.empty());
  ASSERT_EQ(state.rows.size(), 1u);
  ASSERT_EQ(state.rows.at("u1").size(), 1u);
  EXPECT_EQ(state.rows.at("u1")[0].position.sequence, 42u);
}

TEST_F(DeliveryStateTest, WhatWasMatchedNeverGoesBack) {
  StateTransaction transaction;
  transaction.matched_through = 60;
  ASSERT_TRUE(Commit(transaction).ok());
  transaction.matched_through = 50;
  ASSERT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Load().matched_through, 60u);
}

TEST_F(DeliveryStateTest, ADeadLetterIsKeptWithItsEvent) {
  ASSERT_TRUE(Commit({}, {Letter(5)}).ok());
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

TEST_F(DeliveryStateTest, ASecondDeathKeepsTheCopyAndThePlace) {
  ASSERT_TRUE(Commit({}, {Letter(5), Letter(6)}).ok());
  StoredDeadLetter again = Letter(5, "orders", DeadReason::kExpired);
  again.event.clear();
  again.delivery.redrives = 1;
  ASSERT_TRUE(Commit({}, {again}).ok());
  const auto page = List(All());
  ASSERT_EQ(SequencesOf(*page), (std::vector<Sequence>{5, 6}));
  EXPECT_EQ(page->letters[0].event, "event 5");
  EXPECT_EQ(page->letters[0].delivery.reason, DeadReason::kExpired);
  EXPECT_EQ(page->letters[0].delivery.redrives, 1);
}

TEST_F(DeliveryStateTest, PagesAreCompleteAndEnd) {
  std::vector<StoredDeadLetter> letters;
  for (Sequence sequence = 1; sequence <= 7; ++sequence) letters.push_back(Letter(sequence));
  ASSERT_TRUE(Commit({}, letters).ok());
  std::vector<Sequence> all;
  DeadLetterQuery query = All(3);
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

TEST_F(DeliveryStateTest, ListsFilterByEverythingTheyOffer) {
  StoredDeadLetter elsewhere = Letter(9);
  elsewhere.space = "other";
  elsewhere.delivery.key.uid = "uid-elsewhere";
  ASSERT_TRUE(Commit({}, {Letter(1), Letter(2, "audit"), Letter(3, "orders", DeadReason::kExpired),
                          elsewhere})
                  .ok());
  EXPECT_EQ(SequencesOf(*List(All())), (std::vector<Sequence>{1, 2, 3}));
  DeadLetterQuery query = All();
  query.subscription = "orders";
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{1, 3}));
  query.reason = DeadReason::kExpired;
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{3}));
  query = All();
  query.event_id = "id2";
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{2}));
  query = All();
  query.ids = {"uid-orders-3", "uid-audit-2", "uid-elsewhere-9", "none-1"};
  EXPECT_EQ(SequencesOf(*List(query)), (std::vector<Sequence>{2, 3}));
}

TEST_F(DeliveryStateTest, LettersThatAreRedrivenAreHiddenButReadable) {
  ASSERT_TRUE(Commit({}, {Letter(1), Letter(2)}).ok());
  StateTransaction redrive;
  redrive.rows = {{"uid-orders", Row(1)}};
  ASSERT_TRUE(Commit(redrive).ok());
  EXPECT_EQ(SequencesOf(*List(All())), (std::vector<Sequence>{2}));
  EXPECT_TRUE(Get({"uid-orders", 1}).ok());
  StateTransaction delivered;
  delivered.rows_removed = {{"uid-orders", 1}};
  delivered.dead_removed = {{"uid-orders", 1}};
  ASSERT_TRUE(Commit(delivered).ok());
  EXPECT_EQ(SequencesOf(*List(All())), (std::vector<Sequence>{2}));
  EXPECT_TRUE(absl::IsNotFound(Get({"uid-orders", 1}).status()));
}

TEST_F(DeliveryStateTest, PurgingCountsWhatWasThere) {
  ASSERT_TRUE(Commit({}, {Letter(1), Letter(2), Letter(3)}).ok());
  EXPECT_EQ(Count("uid-orders"), 3);
  EXPECT_EQ(Purge({{"uid-orders", 1}, {"uid-orders", 3}, {"uid-orders", 99}}), 2);
  EXPECT_EQ(Count("uid-orders"), 1);
  EXPECT_EQ(Count("nobody"), 0);
}

TEST_F(DeliveryStateTest, ForgettingASubscriptionKeepsItsDeadLetters) {
  ASSERT_TRUE(Commit({}, {Letter(1)}).ok());
  StateTransaction transaction;
  transaction.forgotten = {"uid-orders"};
  ASSERT_TRUE(Commit(transaction).ok());
  EXPECT_EQ(Count("uid-orders"), 1);
}

TEST_F(DeliveryStateTest, ATransactionIsWholeOrNothing) {
  StateTransaction good;
  good.matched_through = 10;
  ASSERT_TRUE(Commit(good).ok());
  // A table that is gone makes the last statement of a commit fail.
  {
    auto connection =
        sqlite::Connection::Open(sqlite::OpenOptions{.path = (folder_ / "state.db").string()});
    ASSERT_TRUE(connection.ok()) << connection.status();
    ASSERT_TRUE((*connection)->Run("DROP TABLE dead_letters").ok());
  }
  StateTransaction bad;
  bad.matched_through = 20;
  bad.cursors["u1"] = {15, {}};
  bad.rows = {{"u1", Row(11)}};
  EXPECT_FALSE(Commit(bad, {Letter(12)}).ok());
  const SavedDeliveryState state = Load();
  EXPECT_EQ(state.matched_through, 10u);
  EXPECT_TRUE(state.cursors.empty());
  EXPECT_TRUE(state.rows.empty());
}

TEST_F(DeliveryStateTest, ABackupIsACompleteStore) {
  StateTransaction transaction;
  transaction.matched_through = 33;
  ASSERT_TRUE(Commit(transaction, {Letter(1)}).ok());
  ASSERT_TRUE(Save(SampleSubscription()).ok());
  const std::string copy = (folder_ / "copy.db").string();
  ASSERT_TRUE(store_->Backup(copy).ok());
  const auto other = SqliteStateStore::Open(copy);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*other)->LoadDeliveryState()->matched_through, 33u);
  EXPECT_EQ((*other)->LoadRevisions()->size(), 1u);
}

TEST_F(DeliveryStateTest, AStoppedStoreAnswers) {
  store_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(Commit({})));
}

}  // namespace
}  // namespace penstock::broker
