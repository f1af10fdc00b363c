#include "services/gateway/broker/publish_encoder.h"

#include <gtest/gtest.h>
#include <penstock/events/v1/broker.pb.h>

#include <string>

namespace penstock::gateway {
namespace {

penstock::events::v1::PublishStreamRequest Parse(const PublishEncoder::Message& message) {
  penstock::events::v1::PublishStreamRequest request;
  EXPECT_TRUE(request.ParseFromString(message.bytes));
  return request;
}

std::string Event(const std::string& id, std::size_t bytes = 0) {
  io::cloudevents::v1::CloudEvent event;
  event.set_id(id);
  event.set_binary_data(std::string(bytes, 'x'));
  return event.SerializeAsString();
}

TEST(PublishEncoderTest, WritesWhatTheContractReads) {
  PublishEncoder encoder;
  encoder.Add(1, "default", Event("a"));
  encoder.Add(1'000'000'000'000, "blue", Event("b", 70'000));
  const auto message = encoder.Take();
  EXPECT_EQ(message.end, 1'000'000'000'001);
  const auto request = Parse(message);
  ASSERT_EQ(request.entries_size(), 2);
  EXPECT_EQ(request.entries(0).correlation_id(), 1);
  EXPECT_EQ(request.entries(0).space(), "default");
  EXPECT_EQ(request.entries(0).event().id(), "a");
  EXPECT_EQ(request.entries(1).correlation_id(), 1'000'000'000'000);
  EXPECT_EQ(request.entries(1).event().binary_data().size(), 70'000u);
  EXPECT_TRUE(encoder.empty());
}

TEST(PublishEncoderTest, BeginsAMessageAfterSoManyEvents) {
  PublishEncoder encoder({.events_max = 2, .bytes_max = 1 << 20});
  for (int i = 1; i <= 5; ++i) encoder.Add(i, "s", Event("e"));
  EXPECT_EQ(Parse(encoder.Take()).entries_size(), 2);
  EXPECT_EQ(encoder.Take().end, 5);
  EXPECT_EQ(Parse(encoder.Take()).entries_size(), 1);
  EXPECT_TRUE(encoder.empty());
}

TEST(PublishEncoderTest, KnowsWhenAMessageTakesNoMore) {
  PublishEncoder encoder({.events_max = 2, .bytes_max = 1000});
  encoder.Add(1, "s", Event("e"));
  EXPECT_FALSE(encoder.HasFull());
  encoder.Add(2, "s", Event("e"));
  EXPECT_TRUE(encoder.HasFull());
  encoder.Take();
  encoder.Add(3, "s", Event("e"));
  encoder.Add(4, "s", Event("e", 990));
  EXPECT_TRUE(encoder.HasFull());
  encoder.Take();
  EXPECT_FALSE(encoder.HasFull());
}

TEST(PublishEncoderTest, ALargeEventTravelsAlone) {
  PublishEncoder encoder({.events_max = 256, .bytes_max = 1000});
  encoder.Add(1, "s", Event("small"));
  encoder.Add(2, "s", Event("large", 5000));
  encoder.Add(3, "s", Event("small"));
  for (int expected = 1; expected <= 3; ++expected) {
    const auto request = Parse(encoder.Take());
    ASSERT_EQ(request.entries_size(), 1);
    EXPECT_EQ(request.entries(0).correlation_id(), expected);
  }
}

}  // namespace
}  // namespace penstock::gateway
