// The life of a process, watched from outside.
#include <signal.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/unit/libs/lifecycle/child.h"

namespace penstock::lifecycle {
namespace {

class StopSignalTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Signals, StopSignalTest, testing::Values(SIGTERM, SIGINT, SIGHUP));

TEST_P(StopSignalTest, TheFirstStopsGracefully) {
  Child child({"graceful"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(GetParam());
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.ReadLine(), "stopped 10000");
  EXPECT_EQ(child.WaitForExit(), 0);
}

TEST_P(StopSignalTest, TheSecondEndsTheProcessWhileItStops) {
  Child child({"slow-stop"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(SIGTERM);
  ASSERT_EQ(child.ReadLine(), "stopping");
  child.Signal(GetParam());
  EXPECT_EQ(child.WaitForExit(), 128 + GetParam());
}

TEST(RunUntilSignalTest, TwoSignalsEndAProcessThatHangsInItsStart) {
  Child child({"slow-start"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(SIGTERM);
  child.Signal(SIGINT);
  const int code = child.WaitForExit();
  // Which of the two is read second is the kernel's choice when both are pending.
  EXPECT_TRUE(code == 130 || code == 143) << code;
}

TEST(RunUntilSignalTest, AStopThatHangsIsCutOff) {
  Child child({"slow-stop", "short"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.WaitForExit(), 1);
}

TEST(RunUntilSignalTest, AFailedStartStopsWhatWasStartedAndFails) {
  Child child({"fail-start"});
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.WaitForExit(), 1);
}

TEST(RunUntilSignalTest, AFailedStopFails) {
  Child child({"fail-stop"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.WaitForExit(), 1);
}

TEST(RunUntilSignalTest, AHangupCallsTheHookAndGoesOn) {
  Child child({"hangup"});
  ASSERT_EQ(child.ReadLine(), "started");
  for (int i = 0; i < 3; ++i) {
    child.Signal(SIGHUP);
    EXPECT_EQ(child.ReadLine(), "hangup");
  }
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.WaitForExit(), 0);
}

TEST(RunUntilSignalTest, AHangupDuringTheStartCallsTheHookAtItsEnd) {
  Child child({"hangup-in-start"});
  ASSERT_EQ(child.ReadLine(), "started");
  ASSERT_EQ(child.ReadLine(), "hung up");
  EXPECT_EQ(child.ReadLine(), "hangup");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.WaitForExit(), 0);
}

TEST(RunUntilSignalTest, TheApplicationCanStopItself) {
  Child child({"request"});
  ASSERT_EQ(child.ReadLine(), "started");
  EXPECT_EQ(child.ReadLine(), "stopping");
  EXPECT_EQ(child.WaitForExit(), 7);
}

TEST(RunUntilSignalTest, ABrokenPipeIsAnErrorNotAnEnd) {
  Child child({"sigpipe"});
  ASSERT_EQ(child.ReadLine(), "started");
  EXPECT_EQ(child.ReadLine(), "survived");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.WaitForExit(), 0);
}

TEST(WaitForStopTest, ReturnsTheSignalAndPassesHangupsOn) {
  Child child({"wait"});
  ASSERT_EQ(child.ReadLine(), "started");
  child.Signal(SIGHUP);
  EXPECT_EQ(child.ReadLine(), "hangup");
  child.Signal(SIGINT);
  EXPECT_EQ(child.ReadLine(), "signal " + std::to_string(SIGINT));
  EXPECT_EQ(child.WaitForExit(), 0);
}

}  // namespace
}  // namespace penstock::lifecycle
