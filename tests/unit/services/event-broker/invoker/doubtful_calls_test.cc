#include "services/event-broker/invoker/doubtful_calls.h"

#include <gtest/gtest.h>

#include "services/event-broker/invoker/invocation_messages.h"

namespace penstock::broker {
namespace {

SteadyTime At(int seconds) { return SteadyTime(std::chrono::seconds(seconds)); }

std::vector<DeliveryResult> Results(Sequence first, std::size_t count) {
  std::vector<DeliveryResult> results(count);
  for (std::size_t i = 0; i < count; ++i) results[i].key = {"lane", first + i};
  return results;
}

TEST(DoubtfulCallsTest, GivesWhatIsOverAndSaysWhenTheNextIs) {
  DoubtfulCalls calls;
  EXPECT_FALSE(calls.next().has_value());
  calls.Add({"a", "i"}, At(20), Results(1, 1));
  calls.Add({"a", "i"}, At(10), Results(2, 2));
  EXPECT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls.next(), At(10));
  EXPECT_TRUE(calls.TakeOver(At(9)).empty());
  EXPECT_EQ(calls.TakeOver(At(10)).size(), 2U);
  EXPECT_EQ(calls.next(), At(20));
  EXPECT_EQ(calls.TakeAll().size(), 1U);
  EXPECT_EQ(calls.size(), 0U);
}

TEST(DoubtfulCallsTest, AnExecutorConfirmsByAddressOrInstance) {
  DoubtfulCalls calls;
  calls.Add({"a", "i"}, At(1), Results(1, 1));
  calls.Add({"b", "j"}, At(2), Results(2, 1));
  calls.Add({"c", ""}, At(3), Results(3, 1));
  EXPECT_TRUE(calls.TakeConfirmed({"d", ""}).empty()) << "no instance is like no other";
  EXPECT_EQ(calls.TakeConfirmed({"d", "j"}).at(0).key.sequence, 2U);
  EXPECT_EQ(calls.TakeConfirmed({"a", "new"}).at(0).key.sequence, 1U);
  EXPECT_EQ(calls.TakeConfirmed({"c", "k"}).at(0).key.sequence, 3U);
}

TEST(ParseDeliveryIdTest, SplitsAtTheLastDash) {
  const auto key = ParseDeliveryId("0b1e-4c.replay-2-18446744073709551615");
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->uid, "0b1e-4c.replay-2");
  EXPECT_EQ(key->sequence, 18446744073709551615U);
  EXPECT_EQ(key->Id(), "0b1e-4c.replay-2-18446744073709551615");
}

TEST(ParseDeliveryIdTest, RefusesWhatIsNone) {
  for (const char* id : {"", "lane", "lane-", "lane-x", "lane-1x", "lane- 1", "lane-+1",
                         "lane-18446744073709551616"}) {
    EXPECT_FALSE(ParseDeliveryId(id).has_value()) << id;
  }
}

}  // namespace
}  // namespace penstock::broker
