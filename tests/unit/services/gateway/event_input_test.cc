#include "services/gateway/api/event_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <io/cloudevents/v1/cloudevents.pb.h>

#include <string>

#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/http_binding.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const WallTime kNow = FromUnixMicros(1'700'000'000'123'456);

http::Request MakeRequest(http::Headers headers, std::string body) {
  http::Request request;
  request.method = "POST";
  request.target = "/events";
  request.headers = std::move(headers);
  request.body = std::move(body);
  return request;
}

http::Headers BinaryHeaders() {
  return {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "/s"}, {"ce-type", "t"}};
}

struct Read {
  bool ok = false;
  EventInput input;
  InputError error;

  io::cloudevents::v1::CloudEvent event(std::size_t index = 0) const {
    io::cloudevents::v1::CloudEvent event;
    EXPECT_TRUE(event.ParseFromString(input.events.at(index).bytes));
    return event;
  }
  std::string message() const { return std::string(error.status.message()); }
};

Read ReadRequest(http::Headers headers, std::string body, const EventInputLimits& limits = {}) {
  http::Request request = MakeRequest(std::move(headers), std::move(body));
  Read read;
  read.ok = ReadEvents(request, "blue", kNow, limits, &read.input, &read.error);
  return read;
}

TEST(EventInputTest, ReadsBinaryMode) {
  http::Headers headers = BinaryHeaders();
  headers.Add("Content-Type", "text/plain");
  headers.Add("ce-partitionkey", "k");
  const Read read = ReadRequest(headers, "payload");
  ASSERT_TRUE(read.ok) << read.message();
  EXPECT_FALSE(read.input.batch);
  EXPECT_EQ(read.event().binary_data(), "payload");
  EXPECT_EQ(cloudevents::DataContentType(read.event()), "text/plain");
  EXPECT_EQ(*cloudevents::AttributeText(read.event(), "partitionkey"), "k");
}

TEST(EventInputTest, ReadsStructuredJson) {
  const Read read =
      ReadRequest({{"Content-Type", "application/cloudevents+json; charset=utf-8"}},
                  R"({"specversion":"1.0","id":"7","source":"/s","type":"t","data":[1]})");
  ASSERT_TRUE(read.ok) << read.message();
  EXPECT_EQ(read.input.events[0].id, "7");
  EXPECT_EQ(read.event().binary_data(), "[1]");
}

TEST(EventInputTest, ReadsStructuredProtobuf) {
  io::cloudevents::v1::CloudEvent event;
  event.set_id("p");
  event.set_source("/s");
  event.set_spec_version("1.0");
  event.set_type("t");
  const Read read = ReadRequest({{"Content-Type", "application/cloudevents+protobuf"}},
                                cloudevents::ToProtobuf(event));
  ASSERT_TRUE(read.ok) << read.message();
  EXPECT_EQ(read.event().id(), "p");
}

TEST(EventInputTest, MakesAnEventOfAnyBodyWithAnEventHeader) {
  const Read read =
      ReadRequest({{"Event", "user.created"}, {"Content-Type", "application/json"}}, R"({"a":1})");
  ASSERT_TRUE(read.ok) << read.message();
  const auto event = read.event();
  EXPECT_EQ(event.type(), "user.created");
  EXPECT_EQ(event.source(), "/spaces/blue/http");
  EXPECT_THAT(event.id(), SizeIs(36));
  EXPECT_EQ(*cloudevents::AttributeText(event, "time"), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(cloudevents::DataContentType(event), "application/json");
}

TEST(EventInputTest, TakesTheIdempotencyKeyAsTheId) {
  const Read read = ReadRequest({{"Event", "t"}, {"Idempotency-Key", "order-1"}}, "");
  ASSERT_TRUE(read.ok);
  EXPECT_EQ(read.event().id(), "order-1");
  EXPECT_FALSE(cloudevents::HasData(read.event()));
}

TEST(EventInputTest, GivesAnIdToAnEventWithoutOne) {
  http::Headers headers = BinaryHeaders();
  headers.Remove("ce-id");
  const Read read = ReadRequest(headers, "");
  ASSERT_TRUE(read.ok) << read.message();
  EXPECT_THAT(read.event().id(), SizeIs(36));
  EXPECT_EQ(read.input.events[0].id, read.event().id());
}

TEST(EventInputTest, NamesTheAttributeAtFault) {
  http::Headers headers = BinaryHeaders();
  headers.Set("ce-time", "yesterday");
  EXPECT_THAT(ReadRequest(headers, "").message(), HasSubstr("time"));
  headers = BinaryHeaders();
  headers.Remove("ce-source");
  const Read read = ReadRequest(headers, "");
  ASSERT_FALSE(read.ok);
  EXPECT_EQ(read.error.http_status, 0);
  EXPECT_EQ(FieldViolationsOf(read.error.status).at(0).field, "source");
}

// One string that is not UTF-8 would end the stream of everybody's events.
TEST(EventInputTest, RefusesWhatTheWireCannotCarry) {
  http::Headers headers = BinaryHeaders();
  headers.Set("ce-subject", "%FF%FE");
  EXPECT_FALSE(ReadRequest(headers, "").ok);
  headers = BinaryHeaders();
  headers.Set("Content-Type", "text/\xFF");
  EXPECT_FALSE(ReadRequest(headers, "").ok);
  EXPECT_FALSE(ReadRequest({{"Event", "t\xC0"}}, "").ok);
  EXPECT_FALSE(ReadRequest({{"Event", "t"}, {"Idempotency-Key", "\xFF"}}, "").ok);
}

TEST(EventInputTest, AsksForAnEvent) {
  const Read read = ReadRequest({{"Content-Type", "application/json"}}, "{}");
  ASSERT_FALSE(read.ok);
  EXPECT_EQ(read.error.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(read.message(), HasSubstr("Event header"));
}

TEST(EventInputTest, SaysWhichFormatsItTakes) {
  const Read read = ReadRequest({{"Content-Type", "application/cloudevents+avro"}}, "x");
  ASSERT_FALSE(read.ok);
  EXPECT_EQ(read.error.http_status, 415);
  EXPECT_THAT(read.message(), HasSubstr("application/cloudevents+json"));
}

TEST(EventInputTest, RefusesPayloadsOverTheLimit) {
  EventInputLimits limits;
  limits.data_bytes_max = 8;
  const Read read = ReadRequest({{"Event", "t"}}, "123456789", limits);
  ASSERT_FALSE(read.ok);
  EXPECT_EQ(read.error.http_status, 413);
  EXPECT_TRUE(ReadRequest({{"Event", "t"}}, "12345678", limits).ok);
}

TEST(EventInputTest, JudgesEachEventOfABatchByItself) {
  const Read read = ReadRequest({{"Content-Type", "application/cloudevents-batch+json"}}, R"([
      {"specversion":"1.0","id":"1","source":"/s","type":"t"},
      {"specversion":"1.0","id":"2","source":"/s"},
      17])");
  ASSERT_TRUE(read.ok) << read.message();
  EXPECT_TRUE(read.input.batch);
  ASSERT_THAT(read.input.events, SizeIs(3));
  EXPECT_TRUE(read.input.events[0].status.ok());
  EXPECT_FALSE(read.input.events[1].status.ok());
  EXPECT_EQ(read.input.events[1].id, "2");
  EXPECT_FALSE(read.input.events[2].status.ok());
}

TEST(EventInputTest, TakesAnEmptyBatch) {
  const Read read = ReadRequest({{"Content-Type", "application/cloudevents-batch+json"}}, "[]");
  ASSERT_TRUE(read.ok);
  EXPECT_TRUE(read.input.batch);
  EXPECT_THAT(read.input.events, SizeIs(0));
}

TEST(EventInputTest, RefusesBatchesThatAreTooLong) {
  EventInputLimits limits;
  limits.batch_events_max = 2;
  const Read read =
      ReadRequest({{"Content-Type", "application/cloudevents-batch+json"}}, "[{},{},{}]", limits);
  ASSERT_FALSE(read.ok);
  EXPECT_EQ(read.error.http_status, 413);
}

TEST(EventInputTest, RefusesABatchThatIsNone) {
  for (const char* body : {"", "{}", "[", "[1,]"}) {
    EXPECT_FALSE(ReadRequest({{"Content-Type", "application/cloudevents-batch+json"}}, body).ok)
        << body;
  }
  EXPECT_FALSE(
      ReadRequest({{"Content-Type", "application/cloudevents-batch+protobuf"}}, "\xFF\xFF").ok);
}

TEST(EventBodyLimitTest, DependsOnTheContentType) {
  const EventInputLimits limits;
  EXPECT_EQ(EventBodyLimit({}, limits), limits.data_bytes_max);
  EXPECT_EQ(EventBodyLimit({{"Content-Type", "application/json"}}, limits), limits.data_bytes_max);
  // A payload in base64 is a third longer.
  EXPECT_GT(EventBodyLimit({{"Content-Type", "application/cloudevents+json"}}, limits),
            limits.data_bytes_max / 3 * 4);
  EXPECT_EQ(EventBodyLimit({{"Content-Type", "application/cloudevents-batch+json"}}, limits),
            limits.batch_bytes_max);
}

TEST(SpaceOfTest, ReadsTheHeader) {
  EXPECT_EQ(*SpaceOf({}), "default");
  EXPECT_EQ(*SpaceOf({{"space", "blue"}}), "blue");
  EXPECT_FALSE(SpaceOf({{"Space", "a b"}}).ok());
  EXPECT_FALSE(SpaceOf({{"Space", ""}}).ok());
}

}  // namespace
}  // namespace penstock::gateway
