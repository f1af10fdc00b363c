#include <gmock/gmock.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <string>

#include "tests/contract/gateway/fixture.h"

namespace penstock::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

class ApiReferenceTest : public GatewayTest {};

TEST_F(ApiReferenceTest, ServesTheDocumentAndAPage) {
  StartGateway();
  const HttpAnswer document = Get("/openapi.json");
  EXPECT_EQ(document.status, 200);
  EXPECT_EQ(document.Header("Content-Type"), "application/json");
  EXPECT_EQ(document.Header("Cache-Control"), "public, no-cache");
  EXPECT_THAT(document.body, HasSubstr(R"("openapi":"3.1.0")"));
  EXPECT_THAT(document.body, HasSubstr("/api/v1/spaces/{space}/functions/{function}:invoke"));

  const HttpAnswer page = Get("/docs");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.Header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body, HasSubstr("fetch('openapi.json')"));
  // It asks nobody else for anything.
  EXPECT_THAT(page.body, Not(HasSubstr("http:")));
  EXPECT_THAT(page.body, Not(HasSubstr("https:")));

  EXPECT_EQ(Get("/openapi.json/more").status, 404);
  const HttpAnswer posted = Post("/openapi.json", "{}");
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(posted.Header("Allow"), "GET, HEAD");
  EXPECT_EQ(Ask(http_port(), {"HEAD", "/openapi.json", {}, ""}).status, 200);
}

TEST_F(ApiReferenceTest, SaysWhenTheCallerHasItAlready) {
  StartGateway();
  for (const char* path : {"/openapi.json", "/docs"}) {
    const std::string tag = Get(path).Header("ETag");
    EXPECT_GT(tag.size(), 2u);
    const HttpAnswer again = Get(path, {{"If-None-Match", "\"other\", W/" + tag}});
    EXPECT_EQ(again.status, 304) << path;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.Header("ETag"), tag);
    EXPECT_EQ(Get(path, {{"If-None-Match", "\"other\""}}).status, 200);
  }
}

TEST_F(ApiReferenceTest, WantsNoKey) {
  const std::string file = folder.File("keys");
  std::ofstream(file) << "ada:0123456789abcdef\n";
  config.auth = AuthKind::kApiKeys;
  config.auth_keys_file = file;
  StartGateway();
  EXPECT_EQ(Get("/openapi.json").status, 200);
  EXPECT_EQ(Get("/docs").status, 200);
  EXPECT_EQ(Get("/api/v1/spaces").status, 401);
  EXPECT_EQ(Post("/docs", "{}").status, 401);
}

// What the document has on a path is what the gateway allows there. On `{id}:verb` more is allowed
// than that: what `{id}` alone takes, since an id may have a colon.
TEST_F(ApiReferenceTest, DescribesWhatIsServed) {
  StartGateway();
  const auto document = boost::json::parse(Get("/openapi.json").body);
  constexpr std::array kVerbs = {"delete", "get", "patch", "post"};
  int operations = 0;
  for (const auto& [key, item] : document.at("paths").as_object()) {
    std::string path;
    for (const char c : std::string_view(key)) {
      if (c != '{' && c != '}') path += c;
    }
    std::string described;
    for (const char* verb : kVerbs) {
      // The stream of pulled events is no rule, so that an Allow field does not have it.
      if (!item.as_object().contains(verb) || (path.ends_with(":pull") && *verb == 'g')) continue;
      ++operations;
      if (!described.empty()) described += ", ";
      for (const char* c = verb; *c != '\0'; ++c) described += static_cast<char>(*c - 'a' + 'A');
    }
    const HttpAnswer refused = Ask(http_port(), {"PUT", path, {}, ""});
    EXPECT_EQ(refused.status, 405) << path;
    if (path.find(':') == std::string::npos) {
      EXPECT_EQ(refused.Header("Allow"), described) << path;
    } else {
      EXPECT_THAT(refused.Header("Allow"), HasSubstr(described)) << path;
    }
  }
  EXPECT_GT(operations, 80);
}

}  // namespace
}  // namespace penstock::gateway
