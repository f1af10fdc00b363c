#include "services/gateway/api/legacy_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::gateway {
namespace {

using testing::HasSubstr;

TEST(LegacyFunctionTest, ReadsAnHttpFunction) {
  const auto legacy =
      ReadLegacyFunction(R"({"functionId":"hello","provider":{"type":"http","url":"http://x/"}})");
  ASSERT_TRUE(legacy.ok()) << legacy.status();
  EXPECT_EQ(legacy->id, "hello");
  EXPECT_EQ(legacy->function.http().url(), "http://x/");
}

TEST(LegacyFunctionTest, SaysWhatIsWrong) {
  const auto message = [](const char* json) {
    return std::string(ReadLegacyFunction(json).status().message());
  };
  EXPECT_THAT(message(R"({"functionId":"f","provider":{"type":"awslambda"}})"),
              HasSubstr("\"awslambda\" is not supported"));
  EXPECT_EQ(message(R"({"functionId":"f","provider":{"type":"http"}})"),
            "Function doesn't validate. Validation error: \"Missing required fields for HTTP "
            "endpoint.\"");
  EXPECT_THAT(message(R"({"functionId":"a b","provider":{"type":"http","url":"u"}})"),
              HasSubstr("functionId"));
  EXPECT_THAT(message(R"({"functionId":7})"), HasSubstr("functionId: expected a string"));
  EXPECT_THAT(message("[]"), HasSubstr("object"));
  EXPECT_THAT(message("{"), HasSubstr("JSON"));
  EXPECT_FALSE(ReadLegacyFunction("{}").ok());
}

TEST(LegacyFunctionTest, WritesWhatItRead) {
  const std::string json = R"({"functionId":"hello","provider":{"type":"http","url":"http://x/"}})";
  auto legacy = ReadLegacyFunction(json);
  ASSERT_TRUE(legacy.ok());
  legacy->function.set_name("spaces/default/functions/hello");
  std::string out;
  AppendLegacyFunction(legacy->function, &out);
  EXPECT_EQ(out, json);
}

TEST(LegacySubscriptionTest, IsNamedAfterEventAndFunction) {
  const auto legacy = ReadLegacySubscription(R"({"event":"pageVisited","functionId":"f"})");
  ASSERT_TRUE(legacy.ok()) << legacy.status();
  EXPECT_EQ(legacy->id, "pageVisited-f");
  EXPECT_EQ(legacy->subscription.event_type(), "pageVisited");
  EXPECT_EQ(SubscriptionResourceId(legacy->id), legacy->id);
}

TEST(LegacySubscriptionTest, TheEventHttpIsARoute) {
  auto legacy =
      ReadLegacySubscription(R"({"event":"http","functionId":"f","method":"GET","path":"/a/:b"})");
  ASSERT_TRUE(legacy.ok()) << legacy.status();
  EXPECT_EQ(legacy->id, "http-GET-%2Fa%2F%3Ab");
  EXPECT_EQ(legacy->subscription.http().path(), "/a/:b");
  const std::string resource = SubscriptionResourceId(legacy->id);
  EXPECT_THAT(resource, testing::StartsWith("legacy-"));
  legacy->subscription.set_name("spaces/default/subscriptions/" + resource);
  std::string out;
  AppendLegacySubscription(legacy->subscription, &out);
  EXPECT_EQ(out, R"({"subscriptionId":"http-GET-%2Fa%2F%3Ab","event":"http","functionId":"f",)"
                 R"("method":"GET","path":"/a/:b"})");
}

TEST(LegacySubscriptionTest, SaysWhatIsMissing) {
  for (const char* json :
       {R"({"functionId":"f"})", R"({"event":"e"})", R"({"event":"http","functionId":"f"})",
        R"({"event":"http","functionId":"f","method":"GET"})",
        R"({"event":{},"functionId":"f"})"}) {
    EXPECT_FALSE(ReadLegacySubscription(json).ok()) << json;
  }
}

TEST(SubscriptionResourceIdTest, TellsLongIdsApart) {
  const std::string a(100, 'a');
  EXPECT_NE(SubscriptionResourceId(a + "1"), SubscriptionResourceId(a + "2"));
  EXPECT_LE(SubscriptionResourceId(a).size(), 63u);
}

}  // namespace
}  // namespace penstock::gateway
