#include "services/function-manager/domain/page.h"

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"

namespace penstock::functions {
namespace {

TEST(PageTest, ClampsLargeSizesAndRefusesNegativeOnes) {
  EXPECT_EQ(*CheckPageSize(0), 50U);
  EXPECT_EQ(*CheckPageSize(7), 7U);
  EXPECT_EQ(*CheckPageSize(1001), 1000U);
  EXPECT_EQ(FieldViolationsOf(CheckPageSize(-1).status()).at(0).field, "page_size");
}

TEST(PageTest, GivesBackWhatATokenWasMadeOf) {
  EXPECT_EQ(*ParsePageToken("q", ""), "");
  EXPECT_EQ(*ParsePageToken("q", MakePageToken("q", "last.id")), "last.id");
}

TEST(PageTest, RefusesATokenOfAnotherListOrNoToken) {
  const std::string token = MakePageToken("q", "id");
  std::string changed = token;
  changed.back() = changed.back() == '0' ? '1' : '0';
  for (const std::string& bad :
       {changed, token + "00", token.substr(2), std::string("x"), std::string("id"),
        std::string(16, '0'), std::string(10'000, 'a'), token.substr(0, 16), token + "zz"}) {
    EXPECT_EQ(FieldViolationsOf(ParsePageToken("q", bad).status()).at(0).field, "page_token")
        << bad;
  }
  EXPECT_FALSE(ParsePageToken("other", token).ok());
}

}  // namespace
}  // namespace penstock::functions
