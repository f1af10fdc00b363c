#include "libs/proxy/balancer.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::proxy {
namespace {

using std::chrono::seconds;

constexpr MonotonicTime kStart{seconds(1000)};

// The letters of the addresses picked by `count` requests, each over before the next.
std::string Picks(Balancer& balancer, int count, MonotonicTime now = kStart) {
  std::string letters;
  for (int i = 0; i < count; ++i) {
    const auto picked = balancer.Pick(now, 0);
    letters += picked.has_value() ? static_cast<char>('a' + *picked) : '-';
    if (picked.has_value()) balancer.OnEnd(*picked, Balancer::Result::kSuccess, now);
  }
  return letters;
}

// Fails `count` requests at `address`; true when the last ejected it.
bool Fail(Balancer& balancer, std::size_t address, int count, MonotonicTime now = kStart) {
  bool ejected = false;
  const AddressSet others = ~(AddressSet{1} << address);
  for (int i = 0; i < count; ++i) {
    const auto picked = balancer.Pick(now, others);
    EXPECT_EQ(picked, address);
    ejected = balancer.OnEnd(address, Balancer::Result::kFailure, now);
  }
  return ejected;
}

TEST(BalancerTest, TakesAddressesInTurn) {
  Balancer balancer({.weights = {1, 1, 1}});
  EXPECT_EQ(Picks(balancer, 7), "abcabca");
}

TEST(BalancerTest, SpreadsWeightsEvenly) {
  Balancer balancer({.weights = {5, 1, 1}});
  EXPECT_EQ(Picks(balancer, 14), "aabacaaaabacaa");
}

TEST(BalancerTest, LeastRequestsTakesTheIdleAddress) {
  Balancer balancer({.policy = Policy::kLeastRequests, .weights = {1, 1, 1}});
  EXPECT_EQ(balancer.Pick(kStart, 0), 0u);
  EXPECT_EQ(balancer.Pick(kStart, 0), 1u);
  EXPECT_EQ(balancer.Pick(kStart, 0), 2u);
  balancer.OnEnd(1, Balancer::Result::kSuccess, kStart);
  EXPECT_EQ(balancer.Pick(kStart, 0), 1u);
  EXPECT_EQ(balancer.under_way(1), 1);
}

TEST(BalancerTest, LeastRequestsCountsForTheWeight) {
  Balancer balancer({.policy = Policy::kLeastRequests, .weights = {3, 1}});
  int first = 0;
  for (int i = 0; i < 8; ++i) first += balancer.Pick(kStart, 0) == 0u ? 1 : 0;
  EXPECT_EQ(first, 6);
}

TEST(BalancerTest, LeastRequestsTakesTurnsWhenAllAreIdle) {
  Balancer balancer({.policy = Policy::kLeastRequests, .weights = {1, 1}});
  EXPECT_EQ(Picks(balancer, 6), "ababab");
}

TEST(BalancerTest, AvoidsWhatWasTriedUnlessThereIsNothingElse) {
  Balancer balancer({.weights = {1, 1}});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(balancer.Pick(kStart, 0b01), 1u);
    EXPECT_EQ(balancer.Pick(kStart, 0b10), 0u);
  }
  EXPECT_TRUE(balancer.Pick(kStart, 0b11).has_value());
}

TEST(BalancerTest, EjectsAfterFailuresInARow) {
  Balancer balancer({.weights = {1, 1}, .consecutive_failures = 3, .ejection_time = seconds(10)});
  EXPECT_FALSE(Fail(balancer, 0, 2));
  EXPECT_TRUE(Fail(balancer, 0, 1));
  EXPECT_FALSE(balancer.IsAvailable(0, kStart));
  EXPECT_EQ(Picks(balancer, 4), "bbbb");
  EXPECT_TRUE(balancer.IsAvailable(0, kStart + seconds(10)));
}

TEST(BalancerTest, ASuccessBetweenFailuresStartsTheCountAnew) {
  Balancer balancer({.weights = {1, 1}, .consecutive_failures = 3});
  EXPECT_FALSE(Fail(balancer, 0, 2));
  EXPECT_EQ(balancer.Pick(kStart, 0b10), 0u);
  balancer.OnEnd(0, Balancer::Result::kSuccess, kStart);
  EXPECT_FALSE(Fail(balancer, 0, 2));
}

TEST(BalancerTest, ARequestThatSaysNothingChangesNoCount) {
  Balancer balancer({.weights = {1, 1}, .consecutive_failures = 2});
  EXPECT_FALSE(Fail(balancer, 0, 1));
  EXPECT_EQ(balancer.Pick(kStart, 0b10), 0u);
  EXPECT_FALSE(balancer.OnEnd(0, Balancer::Result::kNeutral, kStart));
  EXPECT_EQ(balancer.under_way(0), 0);
  EXPECT_TRUE(Fail(balancer, 0, 1));
}

TEST(BalancerTest, OneMoreFailureEjectsAgain) {
  Balancer balancer({.weights = {1, 1}, .consecutive_failures = 3, .ejection_time = seconds(10)});
  EXPECT_TRUE(Fail(balancer, 0, 3));
  EXPECT_TRUE(Fail(balancer, 0, 1, kStart + seconds(10)));
  EXPECT_FALSE(balancer.IsAvailable(0, kStart + seconds(19)));
}

TEST(BalancerTest, NeverEjectsTheLastAddress) {
  Balancer one({.weights = {1}, .consecutive_failures = 1});
  EXPECT_FALSE(Fail(one, 0, 20));
  EXPECT_EQ(Picks(one, 2), "aa");

  Balancer two({.weights = {1, 1}, .consecutive_failures = 1, .ejected_percent_max = 100});
  EXPECT_TRUE(Fail(two, 0, 1));
  EXPECT_FALSE(Fail(two, 1, 20));
  EXPECT_EQ(Picks(two, 2), "bb");
}

TEST(BalancerTest, EjectsNoMoreThanTheShare) {
  Balancer balancer(
      {.weights = {1, 1, 1, 1}, .consecutive_failures = 1, .ejected_percent_max = 50});
  EXPECT_TRUE(Fail(balancer, 0, 1));
  EXPECT_TRUE(Fail(balancer, 1, 1));
  EXPECT_FALSE(Fail(balancer, 2, 20));
  EXPECT_EQ(Picks(balancer, 4), "cdcd");
}

TEST(BalancerTest, UnhealthyAddressesGetNothing) {
  Balancer balancer({.weights = {1, 1}});
  balancer.SetHealthy(0, false);
  EXPECT_EQ(Picks(balancer, 3), "bbb");
  balancer.SetHealthy(1, false);
  EXPECT_EQ(Picks(balancer, 1), "-");
  balancer.SetHealthy(0, true);
  EXPECT_EQ(Picks(balancer, 2), "aa");
}

TEST(BalancerTest, AnEjectedAddressIsBetterThanNone) {
  Balancer balancer({.weights = {1, 1}, .consecutive_failures = 1});
  EXPECT_TRUE(Fail(balancer, 0, 1));
  balancer.SetHealthy(1, false);
  EXPECT_EQ(Picks(balancer, 2), "aa");
}

TEST(HealthJudgeTest, ChangesAfterResultsInARow) {
  HealthJudge judge({.healthy = 2, .unhealthy = 3});
  EXPECT_TRUE(judge.is_healthy());
  const std::pair<bool, bool> results[] = {{false, false}, {false, false}, {true, false},
                                           {false, false}, {false, false}, {false, true},
                                           {false, false}, {true, false},  {false, false},
                                           {true, false},  {true, true},   {true, false}};
  for (const auto& [passed, changes] : results) EXPECT_EQ(judge.OnCheck(passed), changes);
  EXPECT_TRUE(judge.is_healthy());
}

}  // namespace
}  // namespace penstock::proxy
