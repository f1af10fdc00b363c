// What only the store of the simulations can do.
#include <gtest/gtest.h>

#include "tests/unit/services/event-broker/state/state_fixture.h"

namespace penstock::broker {
namespace {

StateTransaction Through(Sequence sequence) {
  StateTransaction transaction;
  transaction.matched_through = sequence;
  return transaction;
}

TEST(MemoryStateStoreTest, AnswersInTheCall) {
  MemoryStateStore store;
  bool answered = false;
  store.Commit(Through(7), {}, [&](const absl::Status& status) { answered = status.ok(); });
  EXPECT_TRUE(answered);
  EXPECT_EQ(store.LoadDeliveryState()->matched_through, 7u);
}

TEST(MemoryStateStoreTest, HeldWritesRunInOrderAndAreLostInACrash) {
  MemoryStateStore store;
  store.Hold();
  std::vector<int> answered;
  for (int i = 1; i <= 3; ++i) {
    store.Commit(Through(static_cast<Sequence>(i)), {},
                 [&answered, i](const absl::Status&) { answered.push_back(i); });
  }
  EXPECT_EQ(store.held(), 3u);
  EXPECT_TRUE(store.RunNext());
  EXPECT_EQ(answered, (std::vector<int>{1}));
  const auto after = store.Crash();
  EXPECT_FALSE(store.RunNext());
  EXPECT_EQ(answered, (std::vector<int>{1}));
  EXPECT_EQ(after->LoadDeliveryState()->matched_through, 1u);
  EXPECT_FALSE(store.LoadDeliveryState().ok());
}

TEST(MemoryStateStoreTest, AFailedWriteChangesNothing) {
  MemoryStateStore store;
  store.FailWrites(absl::UnavailableError("disk"));
  absl::Status answer;
  const auto note = [&](const absl::Status& status) { answer = status; };
  store.Commit(Through(7), {}, note);
  EXPECT_TRUE(absl::IsUnavailable(answer));
  EXPECT_EQ(store.LoadDeliveryState()->matched_through, kNoSequence);
  store.FailWrites(absl::OkStatus());
  store.Commit(Through(7), {}, note);
  EXPECT_TRUE(answer.ok());
}

}  // namespace
}  // namespace penstock::broker
