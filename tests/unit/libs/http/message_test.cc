#include "libs/http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/status.h"
#include "libs/http/response_writer.h"

namespace penstock::http {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(HeadersTest, FindsWithoutCaseAndKeepsOrder) {
  Headers headers{{"Set-Cookie", "a=1"}, {"X-Empty", ""}, {"set-cookie", "b=2"}};
  EXPECT_EQ(headers.Get("SET-COOKIE"), "a=1");
  EXPECT_THAT(headers.GetAll("set-cookie"), ElementsAre("a=1", "b=2"));
  EXPECT_EQ(headers.Get("absent"), "");
  EXPECT_FALSE(headers.Has("absent"));
  EXPECT_TRUE(headers.Has("x-empty"));
  EXPECT_EQ(headers.Find("x-empty"), "");
  EXPECT_EQ(headers.Find("x-emptyy"), std::nullopt);
}

TEST(HeadersTest, SetReplacesAllAndRemoveCounts) {
  Headers headers{{"A", "1"}, {"B", "2"}, {"a", "3"}};
  headers.Set("A", "4");
  ASSERT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers[0].name, "B");
  EXPECT_EQ(headers.Get("a"), "4");
  EXPECT_EQ(headers.Remove("b"), 1U);
  EXPECT_EQ(headers.Remove("b"), 0U);
}

TEST(HeadersTest, TakesViewsIntoItself) {
  Headers headers{{"Name", "a value that is too long for any small string"}};
  for (int i = 0; i < 20; ++i) headers.Add(headers.begin().operator*().name, headers.Get("name"));
  for (const Headers::Field field : headers) {
    EXPECT_EQ(field.name, "Name");
    EXPECT_EQ(field.value, "a value that is too long for any small string");
  }
  headers.Set("name", headers.Get("name"));
  EXPECT_EQ(headers.Get("name"), "a value that is too long for any small string");
}

TEST(HeadersTest, FindsTokensOfLists) {
  const Headers headers{{"Connection", "keep-alive , Upgrade"}, {"connection", "x,,close"}};
  EXPECT_TRUE(headers.HasToken("connection", "upgrade"));
  EXPECT_TRUE(headers.HasToken("Connection", "close"));
  EXPECT_FALSE(headers.HasToken("Connection", "clos"));
}

TEST(RequestTest, SplitsTheTargetAtTheFirstQuestionMark) {
  Request request;
  request.target = "/a%20b?c=d?e";
  EXPECT_EQ(request.path(), "/a%20b");
  EXPECT_EQ(request.query(), "c=d?e");
  request.target = "/plain";
  EXPECT_EQ(request.path(), "/plain");
  EXPECT_EQ(request.query(), "");
}

TEST(ResponseTest, ErrorsAreGoogleRpcStatusJson) {
  const Response response =
      ErrorResponse(400, absl::InvalidArgumentError("name: \"a\\b\"\n is bad"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.Get("content-type"), "application/json");
  EXPECT_EQ(response.body,
            R"({"code":3,"status":"INVALID_ARGUMENT","message":"name: \"a\\b\"\u000a is bad",)"
            R"("details":[]})");
}

TEST(ResponseTest, KnowsReasonPhrases) {
  EXPECT_EQ(ReasonPhrase(200), "OK");
  EXPECT_EQ(ReasonPhrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(ReasonPhrase(511), "Network Authentication Required");
  EXPECT_EQ(ReasonPhrase(299), "Unknown");
  EXPECT_EQ(ReasonPhrase(999), "Unknown");
}

TEST(HeaderValidityTest, RefusesWhatBreaksFraming) {
  EXPECT_TRUE(IsValidHeader("X-A", "b\tc \xc3\xa4"));
  EXPECT_FALSE(IsValidHeader("", "b"));
  EXPECT_FALSE(IsValidHeader("X A", "b"));
  EXPECT_FALSE(IsValidHeader("X:", "b"));
  EXPECT_FALSE(IsValidHeader("X\r\nY", "b"));
  EXPECT_FALSE(IsValidHeader(std::string_view("X\0", 2), "b"));
  EXPECT_FALSE(IsValidHeader("X", "b\r\nY: c"));
  EXPECT_FALSE(IsValidHeader("X", std::string_view("\0", 1)));
  EXPECT_FALSE(IsValidHeader("X", "\x7f"));
}

TEST(ResponseWriterTest, LeavesOutFieldsThatTheServerSets) {
  std::string out;
  AppendResponseHead(out, 404,
                     {{"Content-Length", "7"},
                      {"transfer-encoding", "chunked"},
                      {"Connection", "upgrade"},
                      {"Keep-Alive", "x"},
                      {"Date", "never"},
                      {"X-Kept", "1"}},
                     {.content_length = 2});
  EXPECT_THAT(out, testing::StartsWith("HTTP/1.1 404 Not Found\r\nDate: "));
  EXPECT_THAT(out, EndsWith("GMT\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("never")));
}

}  // namespace
}  // namespace penstock::http
