#include "services/gateway/api/pull_answer.h"

#include <gtest/gtest.h>

#include <string>

#include "libs/base/status.h"

namespace penstock::gateway {
namespace {

std::string Refused(std::string_view query) {
  const auto violations = FieldViolationsOf(ParsePullQuery(query).status());
  return violations.empty() ? "none" : violations.front().field;
}

TEST(PullQueryTest, HasDefaults) {
  const auto choices = ParsePullQuery("");
  ASSERT_TRUE(choices.ok());
  EXPECT_EQ(choices->credit, 100);
  EXPECT_TRUE(choices->auto_ack);
}

TEST(PullQueryTest, ReadsWhatIsGiven) {
  const auto choices = ParsePullQuery("credit=1024&auto_ack=false");
  ASSERT_TRUE(choices.ok());
  EXPECT_EQ(choices->credit, 1024);
  EXPECT_FALSE(choices->auto_ack);
  EXPECT_FALSE(ParsePullQuery("&autoAck=false&")->auto_ack);
}

TEST(PullQueryTest, NamesWhatIsWrong) {
  EXPECT_EQ(Refused("credit=0"), "credit");
  EXPECT_EQ(Refused("credit=1025"), "credit");
  EXPECT_EQ(Refused("credit="), "credit");
  EXPECT_EQ(Refused("credit=5x"), "credit");
  EXPECT_EQ(Refused("credit"), "credit");
  EXPECT_EQ(Refused("auto_ack=yes"), "auto_ack");
  EXPECT_EQ(Refused("more=1"), "more");
}

TEST(PullFrameTest, IsOneServerSentEvent) {
  EXPECT_EQ(PullFrame("u-1", "order.paid", R"({"id":"a"})"),
            "id: u-1\nevent: order.paid\ndata: {\"id\":\"a\"}\n\n");
}

}  // namespace
}  // namespace penstock::gateway
