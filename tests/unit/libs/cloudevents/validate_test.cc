#include "libs/cloudevents/validate.h"

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"

namespace penstock::cloudevents {
namespace {

CloudEvent Good() {
  CloudEvent event;
  event.set_id("1");
  event.set_source("/s");
  event.set_spec_version("1.0");
  event.set_type("t");
  return event;
}

AttributeValue Text(std::string_view text) {
  AttributeValue value;
  value.set_ce_string(std::string(text));
  return value;
}

// The attribute that is named, or empty when the event is good.
std::string Named(const CloudEvent& event, const Limits& limits = {}) {
  const auto violations = FieldViolationsOf(Validate(event, limits));
  return violations.empty() ? "" : violations[0].field;
}

std::string NamedWith(std::string_view name, const AttributeValue& value) {
  CloudEvent event = Good();
  (*event.mutable_attributes())[std::string(name)] = value;
  return Named(event);
}

TEST(ValidateTest, AcceptsTheLeast) { EXPECT_EQ(Named(Good()), ""); }

TEST(ValidateTest, NamesRequiredAttributes) {
  CloudEvent event = Good();
  event.clear_id();
  EXPECT_EQ(Named(event), "id");
  event = Good();
  event.clear_source();
  EXPECT_EQ(Named(event), "source");
  event = Good();
  event.clear_type();
  EXPECT_EQ(Named(event), "type");
  event = Good();
  for (const char* version : {"", "1", "0.3", "1.0.2"}) {
    event.set_spec_version(version);
    EXPECT_EQ(Named(event), "specversion");
  }
}

TEST(ValidateTest, BoundsLengths) {
  CloudEvent event = Good();
  event.set_id(std::string(1024, 'x'));
  event.set_source(std::string(2048, 'x'));
  event.set_type(std::string(256, 'x'));
  EXPECT_EQ(Named(event), "");
  event.set_id(std::string(1025, 'x'));
  EXPECT_EQ(Named(event), "id");
  event = Good();
  event.set_source(std::string(2049, 'x'));
  EXPECT_EQ(Named(event), "source");
  event = Good();
  event.set_type(std::string(257, 'x'));
  EXPECT_EQ(Named(event), "type");
  event = Good();
  event.set_binary_data(std::string(1024 * 1024, 'x'));
  EXPECT_EQ(Named(event), "");
  EXPECT_EQ(Named(event, {.max_data_bytes = 1024}), "data");
  event.mutable_binary_data()->push_back('x');
  EXPECT_EQ(Named(event), "data");
  event = Good();
  (*event.mutable_attributes())["big"] = Text(std::string(64 * 1024 - 10, 'x'));
  EXPECT_EQ(Named(event), "");
  (*event.mutable_attributes())["bigger"] = Text("0123456789");
  EXPECT_EQ(Named(event), "attributes");
}

TEST(ValidateTest, ChecksNames) {
  EXPECT_EQ(NamedWith(std::string(64, 'a'), Text("x")), "");
  EXPECT_EQ(NamedWith(std::string(65, 'a'), Text("x")), std::string(64, 'a'));
  for (const char* name : {"A", "a_b", "a-b", "data_base64", "é", "a b", "data", "id"}) {
    EXPECT_EQ(NamedWith(name, Text("x")), name);
  }
  EXPECT_EQ(NamedWith("", Text("x")), "attributes");
  EXPECT_EQ(NamedWith("0", Text("x")), "");
}

TEST(ValidateTest, RefusesControlCharactersAndBrokenText) {
  for (const char* text : {"a\nb", "\x01", "\x7f", "\xC2\x80", "\xEF\xBF\xBF", "\xEF\xB7\x90"}) {
    EXPECT_EQ(NamedWith("ext", Text(text)), "ext") << text;
    CloudEvent event = Good();
    event.set_type(text);
    EXPECT_EQ(Named(event), "type");
  }
  CloudEvent event = Good();
  event.set_id("\xff");
  EXPECT_EQ(Named(event), "id");
  EXPECT_EQ(NamedWith("ext", Text("é 日本 \xF0\x9F\x98\x80 \xEF\xBF\xBD")), "");
}

TEST(ValidateTest, ChecksTheTypesOfItsOwnAttributes) {
  EXPECT_EQ(NamedWith("time", Text("2026-01-02T03:04:05Z")), "time");
  AttributeValue value;
  value.mutable_ce_timestamp()->set_nanos(-1);
  EXPECT_EQ(NamedWith("time", value), "time");
  value.mutable_ce_timestamp()->set_nanos(1);
  EXPECT_EQ(NamedWith("time", value), "");
  value.set_ce_uri("urn:x");
  EXPECT_EQ(NamedWith("dataschema", value), "");
  EXPECT_EQ(NamedWith("subject", value), "subject");
  value.set_ce_uri("/relative");
  EXPECT_EQ(NamedWith("dataschema", value), "dataschema");
  EXPECT_EQ(NamedWith("ext", value), "ext");
  value.set_ce_uri_ref("/relative");
  EXPECT_EQ(NamedWith("ext", value), "");
  EXPECT_EQ(NamedWith("subject", Text("")), "subject");
  EXPECT_EQ(NamedWith("datacontenttype", Text("text/plain; charset=utf-8")), "");
  for (const char* type : {"", "text", "/", "a/", "/b", "text/é"}) {
    EXPECT_EQ(NamedWith("datacontenttype", Text(type)), "datacontenttype") << type;
  }
  EXPECT_EQ(NamedWith("ext", AttributeValue()), "ext");
}

TEST(ValidateTest, KnowsUriReferences) {
  for (const char* text :
       {"/s", "s", "../a/b", "?q", "#f", "//host/p", "https://u@host:80/p?q=1#f", "urn:a:b",
        "mailto:a@b", "http://[::1]:8080/", "a/b:c", "%20", "1-555-123-4567", "a;b=c,d",
        "https://github.com/cloudevents/spec/pull/123", "http://[::1]"}) {
    EXPECT_TRUE(IsUriReference(text)) << text;
  }
  for (const char* text :
       {"a b",  "%2", "%zz",   "%",   "<a>",         "a\"",           "é",
        "1a:b", ":a", "a#b#c", "/[",  "http://[::1", "http://a:b/",   "http://a]/",
        "\\",   "^",  "`",     "{x}", "|",           "http://[::1]x/"}) {
    EXPECT_FALSE(IsUriReference(text)) << text;
  }
  EXPECT_TRUE(IsUri("urn:x"));
  EXPECT_FALSE(IsUri("/x"));
  EXPECT_FALSE(IsUri(""));
  EXPECT_TRUE(IsUriReference(""));
}

}  // namespace
}  // namespace penstock::cloudevents
