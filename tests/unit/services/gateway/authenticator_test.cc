#include "services/gateway/api/authenticator.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace penstock::gateway {
namespace {

class AuthenticatorTest : public testing::Test {
 protected:
  ~AuthenticatorTest() override { std::filesystem::remove(path_); }

  absl::StatusOr<Authenticator> Load(const std::string& content) {
    std::ofstream(path_) << content;
    return Authenticator::LoadKeys(path_);
  }

  const std::string path_ =
      testing::TempDir() + "/keys-" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(AuthenticatorTest, LetsEverybodyInWithoutKeys) {
  const auto principal = Authenticator().Check(http::Headers());
  ASSERT_TRUE(principal.ok());
  EXPECT_EQ(*principal, "");
}

TEST_F(AuthenticatorTest, KnowsThePrincipalOfAKey) {
  const auto keys = Load("# people\n\nann:0123456789abcdef\ncorp:bob:fedcba9876543210\r\n");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(*keys->Check({{"Authorization", "Bearer 0123456789abcdef"}}), "ann");
  EXPECT_EQ(*keys->Check({{"authorization", "bearer fedcba9876543210"}}), "corp:bob");
  EXPECT_EQ(*keys->Check({{"X-API-Key", "0123456789abcdef"}}), "ann");
}

TEST_F(AuthenticatorTest, KeepsItsKeyToItself) {
  const auto keys = Load("ann:0123456789abcdef\n");
  ASSERT_TRUE(keys.ok());
  http::Headers by_bearer{{"Authorization", "Bearer 0123456789abcdef"}, {"A", "b"}};
  http::Headers by_bearer_beside_none{{"X-API-Key", ""},
                                      {"Authorization", "Bearer 0123456789abcdef"}};
  http::Headers by_key{{"X-API-Key", "0123456789abcdef"}, {"Authorization", "Basic own"}};
  for (http::Headers* const headers : {&by_bearer, &by_bearer_beside_none, &by_key}) {
    ASSERT_TRUE(keys->Check(*headers).ok());
    keys->RemoveKey(*headers);
  }
  EXPECT_EQ(by_bearer.size(), 1U);
  EXPECT_EQ(by_bearer_beside_none.size(), 0U);
  EXPECT_EQ(by_key.Get("Authorization"), "Basic own") << "of the server behind";
  EXPECT_FALSE(by_key.Has("X-API-Key"));
}

TEST_F(AuthenticatorTest, RefusesMissingAndUnknownKeys) {
  const auto keys = Load("ann:0123456789abcdef\n");
  ASSERT_TRUE(keys.ok());
  for (const http::Headers& headers : {http::Headers(), http::Headers{{"Authorization", "Bearer "}},
                                       http::Headers{{"Authorization", "Bearer 0123456789abcdeg"}},
                                       http::Headers{{"Authorization", "Basic 0123456789abcdef"}},
                                       http::Headers{{"X-API-Key", "ann"}}}) {
    EXPECT_EQ(keys->Check(headers).status().code(), absl::StatusCode::kUnauthenticated);
  }
}

TEST_F(AuthenticatorTest, NamesTheLineThatIsWrong) {
  for (const char* content :
       {"ann:short\n", "no key here\n", ":0123456789abcdef\n", "white space:0123456789abcdef\n"}) {
    const auto keys = Load(std::string("# one\n") + content);
    ASSERT_FALSE(keys.ok()) << content;
    EXPECT_NE(std::string(keys.status().message()).find("line 2"), std::string::npos);
  }
}

TEST_F(AuthenticatorTest, RefusesAFileWithoutKeysAndAMissingOne) {
  EXPECT_FALSE(Load("# nobody\n").ok());
  EXPECT_FALSE(Authenticator::LoadKeys("/nonexistent/keys").ok());
}

}  // namespace
}  // namespace penstock::gateway
