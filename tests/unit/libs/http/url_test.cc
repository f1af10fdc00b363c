#include "libs/http/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(UrlTest, ParsesItsParts) {
  struct Case {
    const char* text;
    bool is_tls;
    const char* host;
    int port;
    const char* target;
    const char* authority;
  };
  const Case cases[] = {
      {"http://example.com", false, "example.com", 80, "/", "example.com"},
      {"HTTPS://Example.COM:443/a?b#c", true, "example.com", 443, "/a?b", "example.com"},
      {"http://h:8080?x=1", false, "h", 8080, "/?x=1", "h:8080"},
      {"http://[::1]:81/x", false, "::1", 81, "/x", "[::1]:81"},
      {"https://[2001:DB8::1]", true, "2001:db8::1", 443, "/", "[2001:db8::1]"},
      {"http://a_b-c.d/%20", false, "a_b-c.d", 80, "/%20", "a_b-c.d"},
      {"https://h:80/", true, "h", 80, "/", "h:80"},
  };
  for (const Case& expected : cases) {
    const absl::StatusOr<Url> url = ParseUrl(expected.text);
    ASSERT_TRUE(url.ok()) << expected.text << ": " << url.status();
    EXPECT_EQ(url->is_tls, expected.is_tls) << expected.text;
    EXPECT_EQ(url->host, expected.host) << expected.text;
    EXPECT_EQ(url->port, expected.port) << expected.text;
    EXPECT_EQ(url->target, expected.target) << expected.text;
    EXPECT_EQ(url->Authority(), expected.authority) << expected.text;
  }
}

TEST(UrlTest, RefusesWhatIsNoPlainHttpUrl) {
  for (const char* text : {"",
                           "/path",
                           "example.com",
                           "ftp://h/",
                           "http:/h",
                           "http://",
                           "http:///x",
                           "http://u@h/",
                           "http://u:p@h/",
                           "http://h:/",
                           "http://h:0/",
                           "http://h:65536/",
                           "http://h:8x/",
                           "http://h:-1/",
                           "http://[::1/",
                           "http://[::1]x/",
                           "http://[h]/",
                           "http://h h/",
                           "http://h/\r\nX: y",
                           "http://h/\x01",
                           "http://h/\xc3\xa4",
                           "http://h\\@e/",
                           "http://h%41/",
                           "file:///etc/passwd",
                           "http://[]/",
                           "http://?x"}) {
    const absl::StatusOr<Url> url = ParseUrl(text);
    EXPECT_FALSE(url.ok()) << text;
    EXPECT_THAT(std::string(url.status().message()), HasSubstr("url: ")) << text;
  }
  EXPECT_FALSE(ParseUrl("http://" + std::string(256, 'a')).ok());
}

TEST(PercentTest, DecodesAndIsStrict) {
  EXPECT_EQ(PercentDecode("a%20b%2Fc+%c3%A4").value(), "a b/c+\xc3\xa4");
  EXPECT_EQ(PercentDecode("%00").value(), std::string(1, '\0'));
  for (const char* text : {"%", "a%2", "%zz", "%4", "%%41", "%4g"}) {
    EXPECT_FALSE(PercentDecode(text).ok()) << text;
  }
}

TEST(PercentTest, EncodesAllButUnreserved) {
  EXPECT_EQ(PercentEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(PercentEncode("a/b c%\xff"), "a%2Fb%20c%25%FF");
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(PercentDecode(PercentEncode(all)).value(), all);
}

TEST(QueryTest, SplitsDecodesAndEncodes) {
  EXPECT_THAT(ParseQuery("a=1&b=x+y%26&&c&=d&a=2=3").value(),
              ElementsAre(Pair("a", "1"), Pair("b", "x y&"), Pair("c", ""), Pair("", "d"),
                          Pair("a", "2=3")));
  EXPECT_TRUE(ParseQuery("").value().empty());
  EXPECT_FALSE(ParseQuery("a=%2").ok());
  EXPECT_FALSE(ParseQuery("%x=1").ok());
  const QueryParameters parameters{{"a b", "c&d"}, {"", "="}};
  EXPECT_EQ(EncodeQuery(parameters), "a%20b=c%26d&=%3D");
  EXPECT_EQ(ParseQuery(EncodeQuery(parameters)).value(), parameters);
}

}  // namespace
}  // namespace penstock::http
