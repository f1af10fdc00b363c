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
