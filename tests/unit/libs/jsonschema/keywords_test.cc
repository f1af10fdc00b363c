// What each keyword allows and refuses.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <vector>

#include "libs/jsonschema/schema.h"

namespace penstock::jsonschema {
namespace {

namespace json = boost::json;

struct Case {
  const char* schema;
  std::vector<const char*> valid;
  std::vector<const char*> invalid;
};

const Case kCases[] = {
    {"true", {"1", "null", "{}"}, {}},
    {"false", {}, {"1", "null", "{}"}},
    {"{}", {"1", "[]", "\"x\""}, {}},

    {R"({"type":"integer"})", {"1", "-7", "1.0", "1e3"}, {"1.5", "\"1\"", "true", "null"}},
    {R"({"type":"number"})", {"1", "1.5", "-0.0"}, {"\"1\"", "true"}},
    {R"({"type":"string"})", {"\"\"", "\"x\""}, {"1", "null", "[]"}},
    {R"({"type":"boolean"})", {"true", "false"}, {"0", "null", "\"true\""}},
    {R"({"type":"null"})", {"null"}, {"0", "false", "\"\""}},
    {R"({"type":"array"})", {"[]"}, {"{}", "null"}},
    {R"({"type":"object"})", {"{}"}, {"[]", "null"}},
    {R"({"type":["string","null"]})", {"null", "\"x\""}, {"1", "{}"}},

    {R"({"enum":[1,"a",null,{"x":[1]}]})",
     {"1", "1.0", "\"a\"", "null", R"({"x":[1.0]})"},
     {"2", "\"b\"", "false", R"({"x":[]})", R"({"x":[1],"y":1})"}},
    {R"({"const":{"a":1,"b":2}})", {R"({"b":2,"a":1})"}, {R"({"a":1})", "1"}},
    {R"({"const":false})", {"false"}, {"0", "null", "[]"}},
    {R"({"const":0})", {"0", "0.0", "-0.0"}, {"false", "null", "\"\""}},

    {R"({"minimum":1.1})", {"1.1", "2", "\"x\""}, {"1", "0.6", "-5"}},
    {R"({"maximum":9007199254740993})", {"9007199254740993"}, {"9007199254740994"}},
    {R"({"minimum":-9223372036854775808})", {"-9223372036854775808", "0"}, {"-1e30"}},
    {R"({"maximum":18446744073709551615})", {"18446744073709551615"}, {"1e20"}},
    {R"({"exclusiveMinimum":0})", {"0.1", "1"}, {"0", "-1"}},
    {R"({"exclusiveMaximum":3})", {"2.9"}, {"3", "3.0", "4"}},
    {R"({"multipleOf":0.1})", {"0.3", "1", "-0.7", "0"}, {"0.35", "1.01"}},
    {R"({"multipleOf":3})", {"9", "0", "-3"}, {"10", "1.5"}},
    {R"({"multipleOf":0.0001})", {"0.0075"}, {"0.00751"}},
    {R"({"type":"integer","multipleOf":0.5})", {"1e308"}, {}},

    {R"({"minLength":2})", {"\"ab\"", "\"\\u00e4\\u00f6\"", "1"}, {"\"a\"", "\"\\ud83d\\udca9\""}},
    {R"({"maxLength":2})", {"\"ab\"", "\"\\ud83d\\udca9\\ud83d\\udca9\""}, {"\"abc\""}},
    {R"({"pattern":"^a+$"})", {"\"aaa\"", "1", "null"}, {"\"abc\"", "\"\""}},
    {R"({"pattern":"b"})", {"\"abc\""}, {"\"ac\""}},
    {R"({"pattern":"^\\p{Lu}"})", {"\"\\u00c4x\""}, {"\"\\u00e4x\""}},

    {R"({"items":{"type":"integer"}})", {"[]", "[1,2]", "{\"0\":\"x\"}"}, {"[1,\"x\"]"}},
    {R"({"items":false})", {"[]"}, {"[1]"}},
    {R"({"prefixItems":[{"type":"integer"},{"type":"string"}]})",
     {"[1,\"a\"]", "[1]", "[]", "[1,\"a\",true]"},
     {"[\"a\",1]", "[1,1]"}},
    {R"({"prefixItems":[{"type":"integer"}],"items":{"type":"string"}})",
     {"[1,\"a\",\"b\"]", "[1]"},
     {"[1,2]", "[\"a\"]"}},
    {R"({"items":[{"type":"integer"}],"additionalItems":false})", {"[1]", "[]"}, {"[1,2]"}},
    {R"({"additionalItems":false})", {"[1,2]"}, {}},
    {R"({"minItems":1})", {"[1]", "\"\"", "{}"}, {"[]"}},
    {R"({"maxItems":2.0})", {"[1,2]"}, {"[1,2,3]"}},
    {R"({"uniqueItems":true})",
     {"[1,2]", "[1,true]", "[0,false]", "[[1],[true]]", "[{\"a\":1},{\"a\":2}]", "[\"1\",1]"},
     {"[1,1]", "[1.0,1]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", "[[1],[1.0]]", "[null,null]"}},
    {R"({"uniqueItems":false})", {"[1,1]"}, {}},
    {R"({"contains":{"minimum":5}})", {"[3,4,5]", "[5,6]", "{}"}, {"[2,3]", "[]"}},
    {R"({"contains":{"const":1},"minContains":2,"maxContains":3})",
     {"[1,1]", "[1,2,1,1]"},
     {"[1]", "[1,1,1,1]", "[]"}},
    {R"({"contains":{"const":1},"minContains":0})", {"[]", "[2]"}, {}},
    {R"({"minContains":2})", {"[]"}, {}},

    {R"({"properties":{"a":{"type":"integer"},"b":false}})",
     {"{}", "{\"a\":1}", "{\"c\":[]}", "[]"},
     {"{\"a\":\"x\"}", "{\"b\":1}"}},
    {R"({"patternProperties":{"f.*o":{"type":"integer"}}})",
     {"{\"foo\":1,\"x\":\"y\"}", "{}"},
     {"{\"foo\":\"x\"}", "{\"fooooo\":\"x\",\"foo\":2}"}},
    {R"({"properties":{"a":{}},"patternProperties":{"^v":{}},"additionalProperties":false})",
     {"{\"a\":1}", "{\"vroom\":1}"},
     {"{\"b\":1}"}},
    {R"({"additionalProperties":{"type":"boolean"}})", {"{\"x\":true}"}, {"{\"x\":1}"}},
    {R"({"required":["a","b"]})", {"{\"a\":1,\"b\":null}", "[]", "1"}, {"{\"a\":1}", "{}"}},
    {R"({"required":["__proto__"]})", {"{\"__proto__\":1}"}, {"{}"}},
    {R"({"minProperties":1})", {"{\"a\":1}", "[]"}, {"{}"}},
    {R"({"maxProperties":1})", {"{\"a\":1}"}, {"{\"a\":1,\"b\":2}"}},
    {R"({"propertyNames":{"maxLength":2}})", {"{\"ab\":1}", "{}", "[]"}, {"{\"abc\":1}"}},
    {R"({"propertyNames":false})", {"{}"}, {"{\"a\":1}"}},
    {R"({"dependentRequired":{"a":["b"]}})",
     {"{\"a\":1,\"b\":1}", "{\"b\":1}", "{}"},
     {"{\"a\":1}"}},
    {R"({"dependentSchemas":{"a":{"required":["b"]}}})",
     {"{\"b\":1}", "{\"a\":1,\"b\":1}"},
     {"{\"a\":1}"}},
    {R"({"dependencies":{"a":["b"],"c":{"maxProperties":1}}})",
     {"{\"a\":1,\"b\":1}", "{\"c\":1}"},
     {"{\"a\":1}", "{\"c\":1,\"d\":1}"}},

    {R"({"allOf":[{"minimum":1},{"maximum":3}]})", {"2", "\"x\""}, {"0", "4"}},
    {R"({"anyOf":[{"type":"string"},{"minimum":3}]})", {"\"x\"", "3", "null"}, {"2"}},
    {R"({"oneOf":[{"type":"integer"},{"minimum":2}]})", {"1", "2.5"}, {"3", "1.5"}},
    {R"({"oneOf":[true,true]})", {}, {"1"}},
    {R"({"not":{"type":"integer"}})", {"\"x\"", "1.5"}, {"1"}},
    {R"({"not":{"not":{"type":"integer"}}})", {"1"}, {"\"x\""}},
    {R"({"if":{"const":"a"},"then":false})", {"\"b\""}, {"\"a\""}},
    {R"({"if":{"exclusiveMaximum":0},"then":{"minimum":-10},"else":{"multipleOf":2}})",
     {"-1", "4"},
     {"-100", "3"}},
    {R"({"then":false})", {"1"}, {}},

    {R"({"$defs":{"n":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/n"}}})",
     {"{\"a\":1}"},
     {"{\"a\":\"x\"}"}},
    {R"({"properties":{"child":{"$ref":"#"}},"additionalProperties":false})",
     {"{}", "{\"child\":{\"child\":{}}}"},
     {"{\"child\":{\"x\":1}}"}},
    {R"({"$defs":{"a~b/c%d":{"type":"integer"}},"$ref":"#/$defs/a~0b~1c%25d"})", {"1"}, {"\"x\""}},
    {R"({"$defs":{"n":{"$anchor":"num","type":"integer"}},"$ref":"#num"})", {"1"}, {"\"x\""}},
    {R"({"$id":"http://x.test/s","$defs":{"n":{"type":"integer"}},"$ref":"http://x.test/s#/$defs/n"})",
     {"1"},
     {"\"x\""}},
    {R"({"$defs":{"n":{"$id":"urn:n","$defs":{"m":{"type":"null"}},"type":"integer"}},
         "properties":{"a":{"$ref":"urn:n"},"b":{"$ref":"urn:n#/$defs/m"}}})",
     {"{\"a\":1,\"b\":null}"},
     {"{\"a\":null}", "{\"b\":1}"}},
    {R"({"$ref":"#/properties/a","properties":{"a":{"type":"object"}}})",
     {"{\"a\":{}}"},
     {"{\"a\":1}", "1"}},
    {R"({"items":[{"type":"integer"},{"$ref":"#/items/0"}]})", {"[1,2]"}, {"[1,\"x\"]"}},
    {R"({"x-types":{"n":{"type":"integer"}},"$ref":"#/x-types/n"})", {"1"}, {"\"x\""}},
    {R"({"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","maximum":5})", {"5"}, {"6", "\"x\""}},
    {R"({"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"n":{"type":"integer"}},
         "properties":{"a":{"$ref":"#/definitions/n","maximum":5}}})",
     {"{\"a\":6}"},
     {"{\"a\":\"x\"}"}},
    {R"({"$defs":{"even":{"type":"object","properties":{"next":{"$ref":"#/$defs/odd"}}},
                  "odd":{"type":"object","properties":{"next":{"$ref":"#/$defs/even"}}}},
         "$ref":"#/$defs/even"})",
     {"{\"next\":{\"next\":{}}}"},
     {"{\"next\":{\"next\":1}}"}},

    {R"({"format":"date"})",
     {"\"2024-02-29\"", "1"},
     {"\"2023-02-29\"", "\"2024-13-01\"", "\"24-1-1\""}},
    {R"({"format":"time"})",
     {"\"08:30:06.28+05:00\"", "\"23:59:60Z\"", "\"01:29:60+01:30\""},
     {"\"24:00:00Z\"", "\"08:30:06\"", "\"22:59:60Z\"", "\"08:30:06+24:00\""}},
    {R"({"format":"date-time"})",
     {"\"1963-06-19T08:30:06.283185Z\"", "\"1963-06-19t08:30:06z\""},
     {"\"1963-06-19 08:30:06Z\"", "\"1963-06-38T08:30:06Z\"", "\"1963-06-19T08:30:06\""}},
    {R"({"format":"email"})",
     {"\"joe.bloggs@example.com\"", "\"te~st@example.com\"", "\"\\\"joe bloggs\\\"@example.com\"",
      "\"joe@[127.0.0.1]\"", "\"joe@[IPv6:::1]\""},
     {"\"2962\"", "\".test@example.com\"", "\"te..st@example.com\"", "\"joe@inv=lid\"",
      "\"joe@[127.0.0.300]\""}},
    {R"({"format":"hostname"})",
     {"\"www.example.com\"", "\"a\"", "\"1host\""},
     {"\"-a\"", "\"a-\"", "\"a_b\"", "\"\"", "\"a..b\""}},
    {R"({"format":"ipv4"})",
     {"\"192.168.0.1\""},
     {"\"127.0.0.0.1\"", "\"256.0.0.1\"", "\"127.0\"", "\"1.2.3.04\""}},
    {R"({"format":"ipv6"})",
     {"\"::1\"", "\"1:2::8\"", "\"::ffff:1.2.3.4\""},
     {"\"12345::\"", "\"::laptop\"", "\":1\""}},
    {R"({"format":"uri"})",
     {"\"http://foo.bar/?baz=qux#quux\"", "\"urn:isbn:1\"", "\"http://[::1]:80/\"",
      "\"mailto:a@b\""},
     {"\"//foo.bar\"", "\"/abc\"", "\"http:// shouldfail.com\"", "\"bar,baz\"",
      "\"http://foo.bar/%zz\""}},
    {R"({"format":"uuid"})",
     {"\"2EB8AA08-AA98-11EA-B4AA-73B441D16380\""},
     {"\"2eb8aa08-aa98-11ea-b4aa-73b441d1638\""}},
    {R"({"format":"regex"})", {"\"^a(b|c)$\""}, {"\"^(abc]\""}},
    {R"({"format":"color","title":"x","examples":[1],"x-own":{}})", {"\"anything\""}, {}},
};

TEST(KeywordsTest, AllowAndRefuse) {
  for (const Case& one : kCases) {
    const auto schema = Schema::Parse(one.schema, "inputSchema");
    ASSERT_TRUE(schema.ok()) << one.schema << ": " << schema.status();
    for (const bool expected : {true, false}) {
      for (const char* text : expected ? one.valid : one.invalid) {
        const auto violations = (*schema)->Validate(json::parse(text));
        ASSERT_TRUE(violations.ok()) << one.schema << " " << text << ": " << violations.status();
        EXPECT_EQ(violations->empty(), expected)
            << one.schema << " " << text << ": " << Describe(*violations);
      }
    }
  }
}

}  // namespace
}  // namespace penstock::jsonschema
