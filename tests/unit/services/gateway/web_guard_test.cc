#include "services/gateway/domain/web_guard.h"

#include <gtest/gtest.h>

namespace penstock::gateway {
namespace {

bool Allows(const WebGuard& guard, const WebRequest& request) { return guard.Check(request).ok(); }

TEST(WebGuardTest, KnowsTheNamesOfThisMachine) {
  const WebGuard guard({});
  for (const char* host :
       {"localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"}) {
    EXPECT_TRUE(Allows(guard, {.host = host})) << host;
  }
}

TEST(WebGuardTest, RefusesNamesThatAnybodyCouldPointHere) {
  const WebGuard guard({});
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "evil.example:8080", "10.0.0.1"}) {
    EXPECT_EQ(guard.Check({.host = host}).code(), absl::StatusCode::kPermissionDenied) << host;
  }
}

TEST(WebGuardTest, KnowsConfiguredNames) {
  const WebGuard guard({"Gateway.Example", "10.0.0.1:8080"});
  EXPECT_TRUE(Allows(guard, {.host = "gateway.example:443"}));
  EXPECT_TRUE(Allows(guard, {.host = "10.0.0.1"}));
  EXPECT_FALSE(Allows(guard, {.host = "other.example"}));
  EXPECT_TRUE(Allows(WebGuard({"*"}), {.host = "any.example"}));
}

TEST(WebGuardTest, KnowsOrigins) {
  for (const char* origin : {"https://app.example", "http://localhost:3000", "http://[::1]:8080",
                             "http://127.0.0.1", "https://a-b.example:8443"}) {
    EXPECT_TRUE(IsOrigin(origin)) << origin;
  }
  for (const char* origin :
       {"", "*", "null", "app.example", "ftp://app.example", "https://", "https://App.example",
        "https://app.example/", "https://app.example:443", "http://app.example:80",
        "https://app.example:", "https://app.example:x", "https://*.example", "http://[::1",
        "http://[]", "https://a b"}) {
    EXPECT_FALSE(IsOrigin(origin)) << origin;
  }
}

TEST(WebGuardTest, LetsPagesOfAllowedOriginsCall) {
  const WebGuard guard({}, {"https://app.example"});
  EXPECT_TRUE(Allows(
      guard,
      {.host = "localhost", .origin = "https://app.example", .sec_fetch_site = "cross-site"}));
  EXPECT_FALSE(Allows(guard, {.host = "evil.example", .origin = "https://app.example"}));
  EXPECT_FALSE(Allows(guard, {.host = "localhost", .origin = "http://app.example"}));
  EXPECT_FALSE(guard.AllowsOrigin(""));
  EXPECT_TRUE(WebGuard({}, {"*"}).AllowsOrigin("https://any.example"));
}

TEST(WebGuardTest, RefusesPagesOfOtherOrigins) {
  const WebGuard guard({});
  const char* const host = "localhost:8080";
  EXPECT_TRUE(Allows(guard, {.host = host, .origin = "http://localhost:8080"}));
  for (const char* origin : {"http://evil.example", "http://localhost:3000", "null", "garbage",
                             "http://localhost", "https://localhost:8080.evil.example"}) {
    EXPECT_FALSE(Allows(guard, {.host = host, .origin = origin})) << origin;
  }
}

TEST(WebGuardTest, BelievesTheBrowserAboutTheSite) {
  const WebGuard guard({});
  EXPECT_TRUE(Allows(guard, {.host = "localhost", .sec_fetch_site = "same-origin"}));
  EXPECT_TRUE(Allows(guard, {.host = "localhost", .sec_fetch_site = "none"}));
  EXPECT_FALSE(Allows(guard, {.host = "localhost", .sec_fetch_site = "cross-site"}));
  EXPECT_FALSE(Allows(guard, {.host = "localhost", .sec_fetch_site = "same-site"}));
}

}  // namespace
}  // namespace penstock::gateway
