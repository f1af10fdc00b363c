#include "services/event-broker/api/publish_time.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;
using io::cloudevents::v1::CloudEvent;

const WallTime kNow = *ParseRfc3339("2026-01-02T12:00:00Z");

CloudEvent With(const std::map<std::string, std::string>& attributes) {
  CloudEvent event;
  for (const auto& [name, value] : attributes) {
    (*event.mutable_attributes())[name].set_ce_string(value);
  }
  return event;
}

std::optional<WallTime> Due(const std::map<std::string, std::string>& attributes) {
  CloudEvent event = With(attributes);
  const auto due = ResolveDueTime(kNow, event);
  EXPECT_TRUE(due.ok()) << due.status();
  return due.ok() ? *due : std::nullopt;
}

// The attribute that is refused.
std::string Refused(const std::map<std::string, std::string>& attributes) {
  CloudEvent event = With(attributes);
  const auto violations = FieldViolationsOf(ResolveDueTime(kNow, event).status());
  return violations.empty() ? "none" : violations.front().field;
}

TEST(PublishTimeTest, AnEventWithoutTimesIsForNow) { EXPECT_EQ(Due({}), std::nullopt); }

TEST(PublishTimeTest, DeliverAtIsATime) {
  EXPECT_EQ(Due({{"deliverat", "2026-01-02T12:00:30Z"}}), kNow + 30s);
  EXPECT_EQ(Due({{"deliverat", "2026-01-02T14:00:30.5+02:00"}}), kNow + 30'500ms);
  CloudEvent event;
  (*event.mutable_attributes())["deliverat"].mutable_ce_timestamp()->set_seconds(
      ToUnixMicros(kNow) / 1'000'000 + 7);
  const auto due = ResolveDueTime(kNow, event);
  ASSERT_TRUE(due.ok()) << due.status();
  EXPECT_EQ(*due, kNow + 7s);
}

TEST(PublishTimeTest, DeliverAfterIsADurationAndBecomesATime) {
  EXPECT_EQ(Due({{"deliverafter", "90s"}}), kNow + 90s);
  EXPECT_EQ(Due({{"deliverafter", "15m"}}), kNow + 15min);
  EXPECT_EQ(Due({{"deliverafter", "1.5h"}}), kNow + 90min);
  CloudEvent event = With({{"deliverafter", "90s"}});
  ASSERT_TRUE(ResolveDueTime(kNow, event).ok());
  EXPECT_FALSE(event.attributes().contains("deliverafter"));
  EXPECT_EQ(cloudevents::AttributeText(event, "deliverat"), "2026-01-02T12:01:30Z");
}

TEST(PublishTimeTest, APastTimeIsNow) {
  EXPECT_EQ(Due({{"deliverat", "2026-01-02T12:00:00Z"}}), std::nullopt);
  EXPECT_EQ(Due({{"deliverat", "1999-01-01T00:00:00Z"}}), std::nullopt);
  EXPECT_EQ(Due({{"deliverafter", "0s"}}), std::nullopt);
}

TEST(PublishTimeTest, WhatIsNoTimeNamesTheAttribute) {
  EXPECT_EQ(Refused({{"deliverat", "tomorrow"}}), "deliverat");
  EXPECT_EQ(Refused({{"deliverat", ""}}), "deliverat");
  EXPECT_EQ(Refused({{"deliverat", "90s"}}), "deliverat");
  EXPECT_EQ(Refused({{"deliverafter", "soon"}}), "deliverafter");
  EXPECT_EQ(Refused({{"deliverafter", "-5s"}}), "deliverafter");
  EXPECT_EQ(Refused({{"deliverafter", "PT15M"}}), "deliverafter");
  EXPECT_EQ(Refused({{"deliverafter", "15"}}), "deliverafter");
  EXPECT_EQ(Refused({{"expirytime", "never"}}), "expirytime");
  CloudEvent event;
  (*event.mutable_attributes())["deliverat"].set_ce_boolean(true);
  EXPECT_FALSE(ResolveDueTime(kNow, event).ok());
}

TEST(PublishTimeTest, BothTogetherAreRefused) {
  EXPECT_EQ(Refused({{"deliverat", "2026-01-02T12:00:30Z"}, {"deliverafter", "30s"}}),
            "deliverafter");
}

TEST(PublishTimeTest, AYearAheadIsTheMost) {
  EXPECT_EQ(Due({{"deliverafter", "365d"}}), kNow + 365 * 24h);
  EXPECT_EQ(Refused({{"deliverafter", "8760.01h"}}), "deliverafter");
  EXPECT_EQ(Refused({{"deliverat", "2027-01-02T12:00:00.000001Z"}}), "deliverat");
  EXPECT_EQ(Refused({{"deliverat", "9999-01-02T12:00:01Z"}}), "deliverat");
}

TEST(PublishTimeTest, AnEventMustNotExpireBeforeItIsPublished) {
  EXPECT_EQ(Refused({{"deliverafter", "1h"}, {"expirytime", "2026-01-02T13:00:00Z"}}),
            "expirytime");
  EXPECT_EQ(Due({{"deliverafter", "1h"}, {"expirytime", "2026-01-02T13:00:01Z"}}), kNow + 1h);
  EXPECT_EQ(Due({{"expirytime", "2026-01-01T00:00:00Z"}}), std::nullopt);
}

}  // namespace
}  // namespace penstock::broker
