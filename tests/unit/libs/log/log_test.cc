#include "libs/log/log.h"

#include <atomic>
#include <chrono>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "boost/json.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/fake_clock.h"
#include "libs/log/line.h"

namespace penstock::log {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class LogTest : public testing::Test {
 protected:
  void SetUp() override { Use(Format::kJson); }
  void TearDown() override { Configure({}); }

  void Use(Format format, Level level = Level::kInfo) {
    Configure({.level = level,
               .format = format,
               .service = "gateway",
               .sink = [this](std::string_view line) { lines_.emplace_back(line); }});
  }

  boost::json::object LastObject() const { return boost::json::parse(lines_.back()).as_object(); }

  std::vector<std::string> lines_;
};

TEST_F(LogTest, WritesOneJsonObjectWithTypedFields) {
  Info("listening", {{"port", 8080},
                     {"big", std::numeric_limits<std::uint64_t>::max()},
                     {"ratio", 0.5},
                     {"tls", false},
                     {"address", std::string("127.0.0.1")}});
  ASSERT_THAT(lines_, SizeIs(1));
  const boost::json::object line = LastObject();
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("service"), "gateway");
  EXPECT_EQ(line.at("message"), "listening");
  EXPECT_EQ(line.at("port"), 8080);
  EXPECT_EQ(line.at("big"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(line.at("ratio"), 0.5);
  EXPECT_EQ(line.at("tls"), false);
  EXPECT_EQ(line.at("address"), "127.0.0.1");
  EXPECT_TRUE(ParseRfc3339(std::string(line.at("time").as_string())).ok());
}

TEST_F(LogTest, LeavesOutLinesBelowTheLevelAndFollowsAChange) {
  Debug("hidden");
  EXPECT_THAT(lines_, IsEmpty());
  SetLevel(Level::kDebug);
  Debug("shown");
  EXPECT_THAT(lines_, SizeIs(1));
  SetLevel(Level::kOff);
  Error("hidden");
  EXPECT_THAT(lines_, SizeIs(1));
}

TEST_F(LogTest, PrintsSecretsAsStarsInBothFormats) {
  const Secret secret("hunter2");
  Info("configured", {{"password", secret}});
  Use(Format::kText);
  Info("configured", {{"password", secret}});
  ASSERT_THAT(lines_, SizeIs(2));
  for (const std::string& line : lines_) {
    EXPECT_THAT(line, HasSubstr("*****"));
    EXPECT_THAT(line, Not(HasSubstr("hunter2")));
  }
}

TEST_F(LogTest, AStatusBecomesItsCodeAndMessage) {
  Warn("failed", {{"error", absl::NotFoundError("no such function")}});
  EXPECT_EQ(LastObject().at("error"), "NOT_FOUND: no such function");
}

TEST_F(LogTest, HostileValuesCannotBreakALine) {
  const std::string hostile =
      std::string("a\"b\\\n{\"level\":\"x\"}\r\t\x01\xff\xc3(\xed\xa0\x80") + '\0' + "\xe2\x82\xac";
  Info("got", {{"value", hostile}, {"k\"\n", 1}});
  EXPECT_THAT(lines_[0], Not(HasSubstr("\n")));
  const std::string value(LastObject().at("value").as_string());
  EXPECT_THAT(value, EndsWith(std::string("\0\xe2\x82\xac", 4)));
  EXPECT_THAT(value, HasSubstr("\xEF\xBF\xBD"));

  Use(Format::kText);
  Info("got", {{"value", hostile}, {"forged", "x level=error"}});
  EXPECT_THAT(lines_[1], Not(HasSubstr("\n")));
  EXPECT_THAT(lines_[1], HasSubstr("forged=\"x level=error\""));
}

TEST_F(LogTest, CutsALongValueAndSaysSo) {
  Info("got", {{"body", std::string(internal::kValueBytesMax + 100, 'x')}});
  const std::string value(LastObject().at("body").as_string());
  EXPECT_LT(value.size(), internal::kValueBytesMax + 50);
  EXPECT_THAT(value, EndsWith("(100 bytes more)"));
}

TEST_F(LogTest, AFieldCannotReplaceAMemberOfTheLine) {
  Error("got", {{"level", "debug"}, {"message", "other"}});
  const boost::json::object line = LastObject();
  EXPECT_EQ(line.at("level"), "error");
  EXPECT_EQ(line.at("level_"), "debug");
  EXPECT_EQ(line.at("message_"), "other");
}

TEST_F(LogTest, NumbersThatJsonDoesNotKnowBecomeText) {
  Info("got", {{"a", std::numeric_limits<double>::quiet_NaN()},
               {"b", -std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(LastObject().at("a"), "nan");
  EXPECT_EQ(LastObject().at("b"), "-inf");
}

TEST_F(LogTest, TextNamesLevelServiceAndFields) {
  Use(Format::kText);
  Warn("delivery failed", {{"attempt", 3}, {"id", "e1"}, {"empty", ""}});
  EXPECT_THAT(lines_[0], EndsWith("Z WARN  gateway: delivery failed attempt=3 id=e1 empty=\"\""));
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([i] {
      for (int n = 0; n < 200; ++n) Info("line", {{"thread", i}, {"n", n}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_THAT(lines_, SizeIs(800));
  for (const std::string& line : lines_) EXPECT_NO_THROW(boost::json::parse(line));
}

TEST(LogStderrTest, WritesToStandardErrorAsJsonWhenThatIsNoTerminal) {
  testing::internal::CaptureStderr();
  Configure({.service = "broker"});
  Info("to the kernel", {{"n", 1}});
  Flush();
  const std::string text = testing::internal::GetCapturedStderr();
  Configure({});
  EXPECT_THAT(text, EndsWith("}\n"));
  EXPECT_EQ(boost::json::parse(text).as_object().at("message"), "to the kernel");
}

TEST(LogLevelTest, ParsesItsOwnNamesAndNoOther) {
  for (const Level level :
       {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError, Level::kOff}) {
    EXPECT_EQ(*ParseLevel(LevelName(level)), level);
  }
  const absl::Status error = ParseLevel("verbose").status();
  EXPECT_THAT(std::string(error.message()), HasSubstr("\"verbose\""));
}

TEST_F(LogTest, ALimitedLineSaysHowManyItSuppressed) {
  FakeClock clock;
  Every limiter(1s, clock);
  for (int i = 0; i < 5; ++i) Warn(limiter, "queue is full", {{"size", 10}});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_FALSE(LastObject().contains("suppressed"));
  clock.Advance(999ms);
  Warn(limiter, "queue is full");
  ASSERT_THAT(lines_, SizeIs(1));
  clock.Advance(1ms);
  Warn(limiter, "queue is full");
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_EQ(LastObject().at("suppressed"), 5);
}

TEST_F(LogTest, ALineBelowTheLevelDoesNotUseUpTheLimiter) {
  FakeClock clock;
  Every limiter(1s, clock);
  Debug(limiter, "hidden");
  Warn(limiter, "shown");
  EXPECT_THAT(lines_, SizeIs(1));
}

TEST(EveryTest, AllowsOneOfManyThreadsAndCountsTheRest) {
  FakeClock clock;
  Every limiter(1s, clock);
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      std::uint64_t suppressed = 0;
      for (int n = 0; n < 100; ++n) allowed += limiter.Allow(&suppressed) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1);
  clock.Advance(1s);
  std::uint64_t suppressed = 0;
  EXPECT_TRUE(limiter.Allow(&suppressed));
  EXPECT_EQ(suppressed, 399u);
}

TEST(SecretTest, ComparesCopiesAndMovesByValue) {
  Secret a("long enough to live on the heap, surely");
  Secret b = a;
  EXPECT_EQ(a, b);
  Secret c = std::move(a);
  EXPECT_EQ(c, b);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is what is tested.
  b = Secret("short");
  EXPECT_FALSE(b == c);
  EXPECT_EQ(b.Reveal(), "short");
  std::ostringstream out;
  out << b;
  EXPECT_EQ(out.str(), "*****");
}

}  // namespace
}  // namespace penstock::log
