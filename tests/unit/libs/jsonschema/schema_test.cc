// What is told of a value, what schemas are refused, and what bounds the work.
#include "libs/jsonschema/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <vector>

#include "libs/base/status.h"

namespace penstock::jsonschema {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

std::shared_ptr<const Schema> Parsed(std::string_view text, const Limits& limits = {}) {
  auto schema = Schema::Parse(text, "inputSchema", limits);
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *schema;
}

TEST(SchemaTest, TellsEveryViolationWithItsPlace) {
  const auto schema = Parsed(R"({
    "type": "object",
    "required": ["id", "lines"],
    "properties": {
      "lines": {"items": {"properties": {"count": {"type": "integer", "minimum": 1},
                                         "a/b": {"type": "null"}}}},
      "mail": {"anyOf": [{"format": "email"}, {"const": ""}]}}})");
  const auto violations = schema->Validate(json::parse(
      R"({"lines": [{"count": 1}, {"count": 0, "a/b": 1}, {"count": "x"}], "mail": "secret"})"));
  ASSERT_TRUE(violations.ok()) << violations.status();
  std::vector<std::string> found;
  for (const Violation& one : *violations) {
    found.push_back(one.path + " " + one.keyword + ": " + one.message);
  }
  EXPECT_THAT(found, testing::UnorderedElementsAre(" required: \"id\" is missing",
                                                   "/lines/1/count minimum: expected at least 1",
                                                   "/lines/1/a~1b type: expected null",
                                                   "/lines/2/count type: expected an integer",
                                                   "/mail anyOf: meets none of 2 alternatives"));
  EXPECT_THAT(Describe(*violations), testing::Not(HasSubstr("secret")));
}

TEST(SchemaTest, StopsAtTheLimitOfViolations) {
  Limits limits;
  limits.violations_max = 3;
  const auto schema = Parsed(R"({"items": {"type": "null"}})", limits);
  const auto violations = schema->Validate(json::parse("[1,2,3,4,5,6]"));
  ASSERT_TRUE(violations.ok());
  EXPECT_EQ(violations->size(), 3u);
}

struct BadSchema {
  const char* schema;
  const char* text;
};

TEST(SchemaTest, RefusesWhatItDoesNotKnowOrCannotKeep) {
  const BadSchema kBad[] = {
      {"{", "expected JSON"},
      {"1", "expected a schema"},
      {R"({"properties":{"a":3}})", "at /properties/a: expected a schema"},
      {R"({"type":"int"})", "at /type: expected null, boolean"},
      {R"({"type":[]})", "at /type"},
      {R"({"enum":1})", "at /enum"},
      {R"({"minimum":"1"})", "at /minimum: expected a number"},
      {R"({"multipleOf":0})", "at /multipleOf: expected a number above 0"},
      {R"({"minLength":-1})", "at /minLength: expected a whole number"},
      {R"({"maxItems":1.5})", "at /maxItems"},
      {R"({"pattern":"(?=a)b"})", "at /pattern: expected a regular expression"},
      {"{\"patternProperties\":{\"(\":{}}}", "at /patternProperties/("},
      {R"({"required":"a"})", "at /required: expected a list of names"},
      {R"({"allOf":{}})", "at /allOf: expected a list of schemas"},
      {R"({"properties":[]})", "at /properties: expected schemas by name"},
      {R"({"uniqueItems":1})", "at /uniqueItems"},
      {R"({"unevaluatedProperties":false})", "at /unevaluatedProperties: is not supported"},
      {R"({"$dynamicRef":"#a"})", "at /$dynamicRef: is not supported"},
      {R"({"$schema":"http://json-schema.org/draft-04/schema#"})", "at /$schema: expected draft"},
      {R"({"$ref":"#/nowhere"})", "at /$ref: \"#/nowhere\" leads to nothing"},
      {R"({"$ref":"#name"})", "there is no anchor \"name\""},
      {R"({"$ref":"http://elsewhere.test/x"})", "references to others are not supported"},
      {R"({"$ref":"#/%zz"})", "the fragment is malformed"},
      {R"({"$ref":3})", "at /$ref: expected a text"},
      {R"({"$ref":"#"})", "without going into the value"},
      {R"({"allOf":[{"$ref":"#"}]})", "without going into the value"},
      {R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"not":{"$ref":"#/$defs/a"}}}})",
       "without going into the value"},
      {R"({"dependentSchemas":{"a":{"$ref":"#"}}})", "without going into the value"},
  };
  for (const BadSchema& bad : kBad) {
    const auto schema = Schema::Parse(bad.schema, "inputSchema");
    ASSERT_FALSE(schema.ok()) << bad.schema;
    EXPECT_THAT(std::string(schema.status().message()), HasSubstr(bad.text)) << bad.schema;
    const auto violations = FieldViolationsOf(schema.status());
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].field, "inputSchema");
  }
}

TEST(SchemaTest, BoundsTheSizeOfASchema) {
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += R"({"not":)";
  deep += "true" + std::string(70, '}');
  EXPECT_THAT(std::string(Schema::Parse(deep, "s").status().message()), HasSubstr("levels deep"));
  std::string wide = R"({"anyOf":[true)";
  for (int i = 0; i < 10'000; ++i) wide += ",true";
  EXPECT_THAT(std::string(Schema::Parse(wide + "]}", "s").status().message()),
              HasSubstr("more than 10000 subschemas"));
  std::string bomb(100'000, '[');
  EXPECT_FALSE(Schema::Parse(bomb, "s").ok());
}

// Each level tries both alternatives of the level below.
TEST(SchemaTest, BoundsTheStepsOfAValue) {
  std::string defs = R"({"$defs":{"l0":{"type":"string"})";
  for (int i = 1; i <= 40; ++i) {
    const std::string below = R"({"$ref":"#/$defs/l)" + std::to_string(i - 1) + "\"}";
    defs += ",\"l" + std::to_string(i) + R"(":{"anyOf":[)" + below + "," + below + "]}";
  }
  const auto schema = Parsed(defs + R"(},"$ref":"#/$defs/l40"})");
  EXPECT_TRUE(schema->Validate(json::parse("\"x\"")).ok());
  EXPECT_EQ(schema->Validate(json::parse("1")).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(SchemaTest, FindsAPairAmongMany) {
  const auto schema = Parsed(R"({"uniqueItems":true})");
  json::array array;
  for (int i = 0; i < 200'000; ++i) array.emplace_back(i);
  EXPECT_TRUE(schema->Validate(json::value(array))->empty());
  array.emplace_back(77'777.0);
  EXPECT_FALSE(schema->Validate(json::value(array))->empty());
}

TEST(SchemaTest, APatternTakesLinearTime) {
  const auto schema = Parsed(R"({"pattern":"^(a+)+$"})");
  EXPECT_FALSE(schema->Validate(json::value(std::string(200'000, 'a') + "!"))->empty());
}

}  // namespace
}  // namespace penstock::jsonschema
