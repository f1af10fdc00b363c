#include "libs/cloudevents/http_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "libs/base/status.h"
#include "libs/cloudevents/json_format.h"
#include "libs/cloudevents/validate.h"

namespace penstock::cloudevents {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Views = std::vector<HeaderView>;

const Views kRequired = {
    {"ce-specversion", "1.0"}, {"CE-ID", "1"}, {"Ce-Source", "/s"}, {"ce-type", "t"}};

Views With(Views more) {
  more.insert(more.begin(), kRequired.begin(), kRequired.end());
  return more;
}

TEST(HttpBindingTest, TellsTheModes) {
  const auto mode = [](std::string_view type) { return ModeOf(Views{{"Content-Type", type}}); };
  EXPECT_EQ(mode("application/cloudevents+json"), Mode::kJson);
  EXPECT_EQ(mode("Application/CloudEvents+JSON; charset=utf-8"), Mode::kJson);
  EXPECT_EQ(mode("application/cloudevents-batch+json"), Mode::kJsonBatch);
  EXPECT_EQ(mode("application/cloudevents+protobuf"), Mode::kProtobuf);
  EXPECT_EQ(mode("application/cloudevents-batch+protobuf ;x=y"), Mode::kProtobufBatch);
  EXPECT_EQ(mode("application/cloudevents+avro"), Mode::kUnsupported);
  EXPECT_EQ(mode("application/cloudevents"), Mode::kUnsupported);
  EXPECT_EQ(mode("application/json"), Mode::kNone);
  EXPECT_EQ(ModeOf({}), Mode::kNone);
  EXPECT_EQ(ModeOf(kRequired), Mode::kBinary);
  EXPECT_EQ(ModeOf(Views{{"CE-Type", "x"}, {"content-type", "application/json"}}), Mode::kBinary);
  EXPECT_EQ(ModeOf(Views{{"ce-custom", "x"}}), Mode::kNone);
  EXPECT_EQ(ModeOf(With({{"content-type", "application/cloudevents+json"}})), Mode::kJson);
}

TEST(HttpBindingTest, ReadsBinaryMode) {
  const auto event = FromHttpBinary(With({{"Content-Type", "text/xml; charset=utf-8"},
                                          {"ce-time", "2026-01-02T03:04:05Z"},
                                          {"ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"},
                                          {"ce-dataschema", "urn:x"},
                                          {"ce-ext", "\"a \\\"b\\\"%21\""},
                                          {"host", "x"}}),
                                    "<a/>");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_TRUE(Validate(*event).ok()) << Validate(*event);
  EXPECT_EQ(event->id(), "1");
  EXPECT_EQ(DataContentType(*event), "text/xml; charset=utf-8");
  EXPECT_EQ(StringAttribute(*event, "subject"), "Euro € 😀");
  EXPECT_EQ(StringAttribute(*event, "ext"), "a \"b\"!");
  EXPECT_EQ(event->attributes().at("time").ce_timestamp().seconds(), 1767323045);
  EXPECT_EQ(event->attributes().at("dataschema").ce_uri(), "urn:x");
  EXPECT_EQ(event->binary_data(), "<a/>");
}

TEST(HttpBindingTest, TakesAnEmptyBodyAsNoData) {
  EXPECT_FALSE(HasData(*FromHttpBinary(kRequired, "")));
}

TEST(HttpBindingTest, RefusesBadHeaders) {
  const auto refusal = [](Views more) {
    const auto event = FromHttpBinary(With(std::move(more)), "");
    return event.ok() ? "accepted" : std::string(event.status().message());
  };
  EXPECT_THAT(refusal({{"CE-Id", "2"}}), HasSubstr("id: is given twice"));
  EXPECT_THAT(refusal({{"ce-e", "1"}, {"ce-E", "1"}}), HasSubstr("e: is given twice"));
  EXPECT_THAT(refusal({{"ce-time", "now"}}), HasSubstr("time: expected an RFC 3339 time"));
  EXPECT_THAT(refusal({{"ce-datacontenttype", "text/xml"}}), HasSubstr("Content-Type header"));
  EXPECT_THAT(refusal({{"content-type", "a/b"}, {"content-type", "a/b"}}), HasSubstr("twice"));
}

TEST(HttpBindingTest, WritesBinaryModeHeaders) {
  const auto event = FromJson(
      R"({"specversion":"1.0","id":"a b","source":"/s?x=%20","type":"t","subject":"€\"%\u00001",
          "n":-5,"flag":true,"time":"2026-01-02T03:04:05.5+01:00",
          "datacontenttype":"application/json","data":{"a":1}})");
  ASSERT_TRUE(event.ok());
  EXPECT_THAT(ToHttpBinaryHeaders(*event),
              ElementsAre(Pair("content-type", "application/json"), Pair("ce-specversion", "1.0"),
                          Pair("ce-id", "a%20b"), Pair("ce-source", "/s?x=%2520"),
                          Pair("ce-type", "t"), Pair("ce-flag", "true"), Pair("ce-n", "-5"),
                          Pair("ce-subject", "%E2%82%AC%22%25%001"),
                          Pair("ce-time", "2026-01-02T02:04:05.500Z")));
  EXPECT_EQ(Data(*event), R"({"a":1})");
}

TEST(HttpBindingTest, SaysTheImpliedContentType) {
  CloudEvent event;
  EXPECT_EQ(ToHttpBinaryHeaders(event)[0].first, "ce-specversion");
  event.set_binary_data("{}");
  EXPECT_THAT(ToHttpBinaryHeaders(event)[0], Pair("content-type", "application/json"));
  event.set_binary_data("{");
  EXPECT_EQ(ToHttpBinaryHeaders(event)[0].first, "ce-specversion");
  event.mutable_proto_data()->set_type_url("x/y");
  EXPECT_THAT(ToHttpBinaryHeaders(event)[0], Pair("content-type", "application/protobuf"));
  EXPECT_THAT(ToHttpBinaryHeaders(event).back(), Pair("ce-dataschema", "x/y"));
}

TEST(HttpBindingTest, NeverWritesHeadersThatEndEarly) {
  CloudEvent event;
  event.set_id("a\r\nX-Evil: 1");
  (*event.mutable_attributes())["a\r\nb"].set_ce_string("x");
  (*event.mutable_attributes())["datacontenttype"].set_ce_string("a/b\r\nX-Evil: 1");
  (*event.mutable_attributes())["uri"].set_ce_uri("x\n");
  for (const auto& [name, value] : ToHttpBinaryHeaders(event)) {
    EXPECT_EQ((name + value).find_first_of("\r\n"), std::string::npos) << name;
  }
}

TEST(HttpBindingTest, HeaderValuesSurviveTheTrip) {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string value(random() % 12, ' ');
    for (char& c : value)
      c = static_cast<char>(random() % 4 == 0 ? random() : "%2\"\\a"[random() % 5]);
    const std::string encoded = EncodeHeaderValue(value);
    for (const char c : encoded) ASSERT_TRUE(c > ' ' && c < 0x7f);
    ASSERT_EQ(DecodeHeaderValue(encoded), value);
  }
  EXPECT_EQ(DecodeHeaderValue("100%"), "100%");
  EXPECT_EQ(DecodeHeaderValue("%zz%4"), "%zz%4");
  EXPECT_EQ(DecodeHeaderValue("%2541"), "%41");
  EXPECT_EQ(DecodeHeaderValue("\""), "\"");
  EXPECT_EQ(DecodeHeaderValue("\"\""), "");
}

TEST(HttpBindingTest, ReadsEveryMode) {
  CloudEvent event;
  event.set_id("1");
  CloudEventBatch batch;
  *batch.add_events() = event;
  *batch.add_events() = event;
  const auto read = [](std::string_view type, std::string_view body) {
    return FromHttp(Views{{"content-type", type}}, body);
  };
  auto decoded = read(kProtobufType, ToProtobuf(event));
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->batch);
  EXPECT_EQ(decoded->events[0]->id(), "1");
  decoded = read(kProtobufBatchType, ToProtobufBatch(batch));
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(decoded->batch);
  EXPECT_EQ(decoded->events.size(), 2u);
  decoded = read(kJsonBatchType, R"([{"id":"1"},3])");
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(decoded->batch);
  EXPECT_TRUE(decoded->events[0].ok());
  EXPECT_FALSE(decoded->events[1].ok());
  decoded = read(kJsonType, R"({"id":"1"})");
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->batch);
  EXPECT_EQ(FromHttp(kRequired, "x")->events[0]->binary_data(), "x");
  EXPECT_EQ(read(kProtobufType, "\xff").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read(kJsonType, "[").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read("application/cloudevents+xml", "").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(read("text/plain", "").status().message()), HasSubstr("no CloudEvent"));
}

}  // namespace
}  // namespace penstock::cloudevents
