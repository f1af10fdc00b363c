#include "libs/cloudevents/json_format.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "libs/base/status.h"
#include "libs/cloudevents/validate.h"
#include "libs/protojson/protojson.h"
#include "tests/unit/libs/protojson/json_test.pb.h"

namespace penstock::cloudevents {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kHead = R"({"specversion":"1.0","id":"1","source":"/s","type":"t")";

std::string Event(std::string_view members) { return fmt::format("{}{}}}", kHead, members); }

CloudEvent Read(std::string_view json) {
  auto event = FromJson(json);
  EXPECT_TRUE(event.ok()) << json << event.status();
  return event.ok() ? *event : CloudEvent();
}

std::string RoundTrip(std::string_view json) {
  const auto text = ToJson(Read(json));
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::string Refusal(std::string_view json) {
  const auto event = FromJson(json);
  if (event.ok()) return "accepted";
  EXPECT_EQ(event.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(event.status().message());
}

TEST(JsonFormatTest, ReadsAttributesByTheirTypes) {
  const CloudEvent event = Read(
      Event(R"(,"time":"2026-01-02T03:04:05.5+01:00","subject":"s","dataschema":"urn:x",)"
            R"("datacontenttype":"text/plain","ext":"v","flag":true,"count":-7,"nothing":null)"));
  EXPECT_EQ(event.id(), "1");
  EXPECT_EQ(event.source(), "/s");
  EXPECT_EQ(event.type(), "t");
  EXPECT_EQ(event.spec_version(), "1.0");
  EXPECT_TRUE(event.attributes().at("time").has_ce_timestamp());
  EXPECT_EQ(event.attributes().at("dataschema").ce_uri(), "urn:x");
  EXPECT_EQ(event.attributes().at("ext").ce_string(), "v");
  EXPECT_TRUE(event.attributes().at("flag").ce_boolean());
  EXPECT_EQ(event.attributes().at("count").ce_integer(), -7);
  EXPECT_FALSE(event.attributes().contains("nothing"));
  EXPECT_EQ(AttributeText(event, "time"), "2026-01-02T02:04:05.500Z");
  EXPECT_EQ(AttributeText(event, "count"), "-7");
  EXPECT_EQ(AttributeText(event, "type"), "t");
  EXPECT_EQ(AttributeText(event, "none"), std::nullopt);
  EXPECT_EQ(StringAttribute(event, "subject"), "s");
  EXPECT_TRUE(Validate(event).ok()) << Validate(event);
}

TEST(JsonFormatTest, KeepsTheExactBytesOfJsonData) {
  for (const char* type : {"", R"(,"datacontenttype":"application/json")",
                           R"(,"datacontenttype":"application/vnd.x+json; charset=utf-8")",
                           R"(,"datacontenttype":"TEXT/JSON")"}) {
    for (const char* data : {R"({"a" : 1.0,  "b":[1e2,"\u00e9"]})", "12345678901234567890.10",
                             R"("text")", "true", "[]", R"({"a":1,"a":2})"}) {
      const CloudEvent event = Read(Event(fmt::format("{}, \"data\" : {} ", type, data)));
      EXPECT_EQ(Data(event), data) << type;
      EXPECT_TRUE(event.has_binary_data());
    }
  }
}

TEST(JsonFormatTest, ReadsDataBeforeItsContentType) {
  EXPECT_EQ(Data(Read(Event(R"(,"data":"a\nb","datacontenttype":"text/plain")"))), "a\nb");
}

TEST(JsonFormatTest, ReadsBase64) {
  EXPECT_EQ(Data(Read(Event(R"(,"data_base64":"AP8=")"))), std::string("\x00\xff", 2));
  EXPECT_THAT(Refusal(Event(R"(,"data_base64":"*")")), HasSubstr("data_base64: expected bytes"));
  EXPECT_THAT(Refusal(Event(R"(,"data_base64":1)")), HasSubstr("data_base64: expected a string"));
  EXPECT_THAT(Refusal(Event(R"(,"data_base64":"","data":1)")),
              HasSubstr("data_base64: excludes `data`"));
}

TEST(JsonFormatTest, TakesNullDataAsAbsent) {
  EXPECT_FALSE(HasData(Read(Event(R"(,"data":null)"))));
  EXPECT_FALSE(HasData(Read(Event(R"(,"data_base64":null,"subject":null)"))));
  EXPECT_TRUE(HasData(Read(Event(R"(,"data":"")"))));
}

TEST(JsonFormatTest, RefusesWhatHasNoMeaning) {
  EXPECT_EQ(Refusal("[]"), "expected a CloudEvent as an object, got an array");
  EXPECT_THAT(Refusal("{"), HasSubstr("line 1, column 2"));
  EXPECT_THAT(Refusal(R"({"id":1})"), HasSubstr("id: expected a string, got a number"));
  EXPECT_THAT(Refusal(R"({"id":null})"), HasSubstr("id: expected a string, got null"));
  EXPECT_THAT(Refusal(R"({"id":""})"), HasSubstr("id: is required"));
  EXPECT_THAT(Refusal(Event(R"(,"id":"2")")), HasSubstr("id: is given twice"));
  EXPECT_THAT(Refusal(Event(R"(,"e":"2","e":"2")")), HasSubstr("e: is given twice"));
  EXPECT_THAT(Refusal(Event(R"(,"data":1,"data":1)")), HasSubstr("data: is given twice"));
  EXPECT_THAT(Refusal(Event(R"(,"e":{})")), HasSubstr("e: expected a string, boolean or integer"));
  EXPECT_THAT(Refusal(Event(R"(,"e":1.5)")), HasSubstr("e: expected an integer of 32 bits"));
  EXPECT_THAT(Refusal(Event(R"(,"e":2147483648)")), HasSubstr("e: expected an integer"));
  EXPECT_THAT(Refusal(Event(R"(,"time":"now")")), HasSubstr("time: expected an RFC 3339 time"));
  EXPECT_THAT(Refusal(Event(R"(,"datacontenttype":"text/xml","data":{})")),
              HasSubstr("data: expected a string, as datacontenttype is text/xml"));
}

TEST(JsonFormatTest, GivesBackTheSameMembers) {
  for (const char* members :
       {"", R"(,"a":"x","flag":false,"n":5,"subject":"é\"")", R"(,"data":{"a":[1,2.50]})",
        R"(,"datacontenttype":"application/json","data":"text")",
        R"(,"datacontenttype":"text/plain","data":"line\nline")",
        R"(,"datacontenttype":"application/xml","data":"<a/>")",
        R"(,"datacontenttype":"application/octet-stream","data_base64":"YWJj")",
        R"(,"datacontenttype":"image/png","data_base64":"AAEC")",
        R"(,"dataschema":"urn:x","time":"2026-01-02T03:04:05.678Z","data":1)"}) {
    EXPECT_EQ(RoundTrip(Event(members)), Event(members));
  }
}

TEST(JsonFormatTest, WritesOneLineThatAlwaysParses) {
  EXPECT_EQ(RoundTrip(Event(",\"data\":{\n  \"a\": \"\\n\",\r\n \"b\":1}")),
            Event(",\"data\":{  \"a\": \"\\n\", \"b\":1}"));
  CloudEvent event = Read(Event(""));
  event.set_binary_data("{\"a\":1},\"id\":\"forged\"");
  EXPECT_EQ(*ToJson(event), Event(",\"data_base64\":\"eyJhIjoxfSwiaWQiOiJmb3JnZWQi\""));
  event.set_binary_data(" [1]\n");
  EXPECT_EQ(*ToJson(event), Event(",\"data\":[1]"));
  event.set_binary_data("");
  EXPECT_EQ(*ToJson(event), Event(",\"data_base64\":\"\""));
  event.set_binary_data(std::string(200, '[') + std::string(200, ']'));
  EXPECT_THAT(*ToJson(event), HasSubstr("data_base64"));
}

TEST(JsonFormatTest, WritesTextAndProtoData) {
  CloudEvent event = Read(Event(R"(,"datacontenttype":"text/plain")"));
  event.set_text_data("é");
  EXPECT_THAT(*ToJson(event), HasSubstr("\"data\":\"é\""));
  event.set_binary_data("\x01");
  EXPECT_THAT(*ToJson(event), HasSubstr("\"data_base64\":\"AQ==\""));
  event.clear_attributes();
  event.mutable_proto_data()->set_type_url("type.googleapis.com/x.Y");
  event.mutable_proto_data()->set_value("ab");
  EXPECT_EQ(*ToJson(event),
            Event(R"(,"datacontenttype":"application/protobuf",)"
                  R"("dataschema":"type.googleapis.com/x.Y","data_base64":"YWI=")"));
}

TEST(JsonFormatTest, ReadsBatchesEventByEvent) {
  const auto batch = FromJsonBatch(fmt::format("[{},{{\"id\":7}},{}]", Event(""), Event("")));
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->size(), 3u);
  EXPECT_TRUE((*batch)[0].ok());
  EXPECT_EQ(FieldViolationsOf((*batch)[1].status())[0].field, "[1].id");
  EXPECT_TRUE((*batch)[2].ok());
  EXPECT_TRUE(FromJsonBatch("[]")->empty());
  EXPECT_FALSE(FromJsonBatch("{}").ok());
  EXPECT_FALSE(FromJsonBatch("[{}").ok());
  CloudEventBatch events;
  *events.add_events() = *(*batch)[0];
  *events.add_events() = *(*batch)[2];
  EXPECT_EQ(*ToJsonBatch(events), fmt::format("[{},{}]", Event(""), Event("")));
}

TEST(JsonFormatTest, IsTheFormOfEventsInOtherMessages) {
  RegisterJsonForm();
  RegisterJsonForm();
  penstock::testing::json::Envelope envelope;
  const std::string json =
      fmt::format(R"({{"event":{},"more":[{}]}})", Event(",\"data\":{\"a\":1}"), Event(""));
  ASSERT_TRUE(protojson::ParseJson(json, &envelope).ok());
  EXPECT_EQ(envelope.event().binary_data(), "{\"a\":1}");
  EXPECT_EQ(*protojson::PrintJson(envelope), json);
  const auto status = protojson::ParseJson(R"({"more":[{},{"e":[]}]})", &envelope);
  EXPECT_EQ(FieldViolationsOf(status)[0].field, "more[1].e");
}

TEST(JsonFormatTest, RandomBytesNeverBreakIt) {
  std::mt19937 random(3);
  const std::string seed =
      Event(R"(,"time":"2026-01-02T03:04:05Z","n":1,"datacontenttype":"text/plain","data":"x")");
  for (int i = 0; i < 20000; ++i) {
    std::string text = seed;
    for (std::uint32_t n = random() % 4; n > 0; --n) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const auto event = FromJson(text);
    if (!event.ok()) continue;
    const auto again = ToJson(*event);
    ASSERT_TRUE(again.ok()) << text;
    const auto third = FromJson(*again);
    ASSERT_TRUE(third.ok()) << text << *again << third.status();
    ASSERT_EQ(Data(*third), Data(*event)) << text;
  }
}

}  // namespace
}  // namespace penstock::cloudevents
