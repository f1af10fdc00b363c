#include "services/function-executor/drivers/process/log_collector.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Stream = LogCollector::Stream;

TEST(LogCollectorTest, CutsBothStreamsIntoLinesWhateverThePortions) {
  LogCollector logs(1000, 100);
  logs.Append(Stream::kOut, "fir");
  logs.Append(Stream::kErr, "oops\r\n");
  logs.Append(Stream::kOut, "st\n\nlast");
  const Logs taken = logs.Take();
  EXPECT_THAT(taken.out, ElementsAre("first", "", "last"));
  EXPECT_THAT(taken.err, ElementsAre("oops"));
  EXPECT_FALSE(taken.truncated);
  EXPECT_THAT(logs.Take().out, IsEmpty());
}

TEST(LogCollectorTest, CutsLongLinesAndGoesOnWithTheNext) {
  LogCollector logs(1000, 4);
  logs.Append(Stream::kOut, "123");
  logs.Append(Stream::kOut, "456789\nabcd\n");
  const Logs taken = logs.Take();
  EXPECT_THAT(taken.out, ElementsAre("1234", "abcd"));
  EXPECT_TRUE(taken.truncated);
}

TEST(LogCollectorTest, KeepsTheFirstLinesUpToTheLimitAndStartsAfreshForTheNextCall) {
  LogCollector logs(10, 8);
  logs.Append(Stream::kOut, "aaaa\n");
  logs.Append(Stream::kErr, "bbbbbb\n");
  logs.Append(Stream::kOut, "c\n");
  const Logs taken = logs.Take();
  EXPECT_THAT(taken.out, ElementsAre("aaaa"));
  EXPECT_THAT(taken.err, IsEmpty());
  EXPECT_TRUE(taken.truncated);
  logs.Append(Stream::kOut, "next\n");
  const Logs next = logs.Take();
  EXPECT_THAT(next.out, ElementsAre("next"));
  EXPECT_FALSE(next.truncated);
}

TEST(LogCollectorTest, GivesValidUtf8) {
  LogCollector logs(1000, 100);
  logs.Append(Stream::kErr, "x\xFFy\n");
  EXPECT_THAT(logs.Take().err, ElementsAre("x\xEF\xBF\xBDy"));
}

TEST(LogCollectorTest, RemembersTheLastWordsThoughTheLogIsFull) {
  LogCollector logs(10, 8);
  logs.Append(Stream::kErr, std::string(5000, 'x'));
  logs.Append(Stream::kErr, "\nout of memory\n");
  EXPECT_EQ(logs.last_words().size(), 1024U);
  EXPECT_NE(logs.last_words().find("out of memory"), std::string::npos);
}

}  // namespace
}  // namespace penstock::executor
