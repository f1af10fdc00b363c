#include "services/event-broker/api/replay_range.h"

#include <gtest/gtest.h>

#include "libs/base/status.h"
#include "services/event-broker/codec/time_codec.h"
#include "tests/unit/services/event-broker/api/api_fakes.h"

namespace penstock::broker {
namespace {

using Request = penstock::events::v1::ReplaySubscriptionRequest;

const WallTime kNow = FromUnixMicros(1'800'000'000'000'000);

class ReplayRangeTest : public testing::Test {
 protected:
  ReplayRangeTest() {
    for (int i = 0; i < 10; ++i) log_.Add("a", std::to_string(i));
    log_.set_horizon(3);
  }

  // "from-to", or how the answer is refused.
  std::string Resolve(const Request& request) {
    absl::Status status = CheckReplayRequest(request, kNow);
    if (status.ok()) {
      const auto range = ResolveReplayRange(request, log_);
      if (range.ok()) return std::to_string(range->from) + "-" + std::to_string(range->to);
      status = range.status();
    }
    const auto fields = FieldViolationsOf(status);
    if (!fields.empty()) return fields[0].field;
    return std::string(status.message().substr(0, status.message().find(':')));
  }
  static Request Sequences(std::int64_t from, std::int64_t to) {
    Request request;
    request.set_from_sequence(from);
    request.set_to_sequence(to);
    return request;
  }
  static Request Times(std::optional<WallTime> from, std::optional<WallTime> to) {
    Request request;
    if (from) SetTimestamp(*from, request.mutable_from_time());
    if (to) SetTimestamp(*to, request.mutable_to_time());
    return request;
  }

  MemoryLog log_;
};

TEST_F(ReplayRangeTest, TheDefaultIsWhatTheLogKeeps) { EXPECT_EQ(Resolve({}), "3-10"); }

TEST_F(ReplayRangeTest, SequencesAreInclusive) {
  EXPECT_EQ(Resolve(Sequences(4, 6)), "4-6");
  EXPECT_EQ(Resolve(Sequences(10, 10)), "10-10");
  EXPECT_EQ(Resolve(Sequences(0, 5)), "3-5");
  EXPECT_EQ(Resolve(Sequences(5, 0)), "5-10");
}

TEST_F(ReplayRangeTest, WhatTheLogDoesNotHaveIsRefused) {
  EXPECT_EQ(Resolve(Sequences(2, 5)), "fromSequence");
  EXPECT_EQ(Resolve(Sequences(0, 2)), "toSequence");
  EXPECT_EQ(Resolve(Sequences(11, 0)), "fromSequence");
  EXPECT_EQ(Resolve(Sequences(4, 11)), "toSequence");
  const auto below = ResolveReplayRange(Sequences(2, 5), log_).status();
  EXPECT_TRUE(absl::IsOutOfRange(below)) << below;
  EXPECT_NE(below.message().find("the oldest kept is 3"), std::string::npos) << below;
  MemoryLog empty;
  EXPECT_EQ(FieldViolationsOf(ResolveReplayRange({}, empty).status())[0].field, "fromSequence");
}

TEST_F(ReplayRangeTest, NonsenseIsRefused) {
  EXPECT_EQ(Resolve(Sequences(-1, 5)), "fromSequence");
  EXPECT_EQ(Resolve(Sequences(5, -1)), "toSequence");
  EXPECT_EQ(Resolve(Sequences(6, 5)), "toSequence");
  Request request;
  request.set_rate_per_second(1'000'001);
  EXPECT_EQ(Resolve(request), "ratePerSecond");
  request.set_rate_per_second(-1);
  EXPECT_EQ(Resolve(request), "ratePerSecond");
}

TEST_F(ReplayRangeTest, TimesAreLookedUp) {
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(5), std::nullopt)), "5-10");
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(5), MemoryLog::TimeOf(8))), "5-7");
  EXPECT_EQ(Resolve(Times(std::nullopt, MemoryLog::TimeOf(8))), "3-7");
  // Older than what is kept: from the oldest on.
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(1), std::nullopt)), "3-10");
}

TEST_F(ReplayRangeTest, EmptyRangesOfTimeAreRefused) {
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(5), MemoryLog::TimeOf(5))), "toTime");
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(6), MemoryLog::TimeOf(5))), "toTime");
  EXPECT_EQ(Resolve(Times(MemoryLog::TimeOf(11), std::nullopt)), "fromTime");
  EXPECT_EQ(Resolve(Times(std::nullopt, MemoryLog::TimeOf(3))), "toTime");
  EXPECT_EQ(Resolve(Times(kNow + Microseconds(1), std::nullopt)), "fromTime");
}

TEST_F(ReplayRangeTest, ATimeAndASequenceForOneEndExcludeEachOther) {
  Request request = Times(MemoryLog::TimeOf(5), std::nullopt);
  request.set_from_sequence(5);
  EXPECT_EQ(Resolve(request), "fromTime");
  request = Times(std::nullopt, MemoryLog::TimeOf(5));
  request.set_to_sequence(5);
  EXPECT_EQ(Resolve(request), "toTime");
  request = Times(std::nullopt, MemoryLog::TimeOf(9));
  request.set_from_sequence(4);
  EXPECT_EQ(Resolve(request), "4-8");
}

}  // namespace
}  // namespace penstock::broker
