// Starting a worker without a call, to learn whether its program runs.
#include <gmock/gmock.h>

#include <fstream>
#include <future>

#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class ProcessDriverStartTest : public ProcessDriverFixture {
 protected:
  ProcessDriverStartTest() { options_.start_grace = std::chrono::milliseconds(100); }

  std::future<StartOutcome> Begin(const Spec& function) {
    auto promise = std::make_shared<std::promise<StartOutcome>>();
    auto outcome = promise->get_future();
    driver().TryStart(function,
                      [promise](StartOutcome got) { promise->set_value(std::move(got)); });
    return outcome;
  }
  StartOutcome TryStart(const Spec& function) { return Begin(function).get(); }
  static std::string TypeOf(const StartOutcome& outcome) {
    return outcome.error ? outcome.error->type : "";
  }
};

TEST_F(ProcessDriverStartTest, TheWorkerThatHasStartedServesTheFirstCall) {
  const Spec function =
      Python("import os\nstarts = os.getpid()\ndef handle(ctx, p): return starts\n");
  EXPECT_EQ(TypeOf(TryStart(function)), "");
  EXPECT_EQ(driver().workers(), 1);
  EXPECT_EQ(TypeOf(TryStart(function)), "") << "one is ready already";
  EXPECT_EQ(driver().workers(), 1);
  EXPECT_FALSE(Call(function, "1").error);
  EXPECT_EQ(driver().workers(), 1);
}

TEST_F(ProcessDriverStartTest, SaysWhatASourceThatDoesNotLoadWrote) {
  const StartOutcome outcome =
      TryStart(Python("import sys\nprint('connecting', file=sys.stderr)\nimport no_such_module\n"));
  EXPECT_EQ(TypeOf(outcome), "ModuleNotFoundError");
  EXPECT_THAT(outcome.error->message, HasSubstr("no_such_module"));
  EXPECT_THAT(outcome.logs.err, Contains("connecting"));
}

TEST_F(ProcessDriverStartTest, AFailureIsToldToAllWhoWaitForIt) {
  const Spec function = Python("import time\ntime.sleep(0.05)\nraise ValueError('no')\n");
  auto first = Begin(function);
  auto second = Begin(function);
  const Outcome call = Call(function, "1");
  EXPECT_EQ(TypeOf(first.get()), "ValueError");
  EXPECT_EQ(TypeOf(second.get()), "ValueError");
  EXPECT_EQ(executor::TypeOf(call), "ValueError");
  EXPECT_EQ(TypeOf(TryStart(function)), "ValueError") << "at once, until it may be tried again";
}

TEST_F(ProcessDriverStartTest, AProgramWithoutAHandshakeHasStartedWhenItStaysAMoment) {
  const Spec function = Script("#!/bin/sh\nwhile read line; do echo '{\"payload\": 1}'; done\n");
  EXPECT_EQ(TypeOf(TryStart(function)), "");
  EXPECT_EQ(driver().workers(), 1);
  EXPECT_FALSE(Call(function, "1").error);
}

TEST_F(ProcessDriverStartTest, AProgramThatEndsAtOnceOrCannotBeRunHasNot) {
  EXPECT_EQ(TypeOf(TryStart(Script("#!/bin/sh\nexit 3\n"))), "Crashed");
  EXPECT_EQ(TypeOf(TryStart(Script("#!/no/such/interpreter\n"))), "StartFailed");
  Spec function = Script("");
  TargetOf(function).command = {"/no/such/program"};
  EXPECT_EQ(TypeOf(TryStart(function)), "StartFailed");
}

TEST_F(ProcessDriverStartTest, AnAnswerProvesAProgramBeforeItsMomentIsOver) {
  options_.start_grace = std::chrono::hours(1);
  const Spec function = Script("#!/bin/sh\nwhile read line; do echo '{\"payload\": 1}'; done\n");
  auto outcome = Begin(function);
  EXPECT_FALSE(Call(function, "1").error);
  EXPECT_EQ(TypeOf(outcome.get()), "");
}

TEST_F(ProcessDriverStartTest, AFirstCallThatHasToBeKilledOrCrashesDecidesToo) {
  options_.start_grace = std::chrono::hours(1);
  const Spec hangs = Script("#!/bin/sh\nexec sleep 3600\n");
  auto outcome = Begin(hangs);
  EXPECT_EQ(executor::TypeOf(Call(hangs, "1", std::chrono::milliseconds(100))), "Timeout");
  EXPECT_EQ(TypeOf(outcome.get()), "") << "it runs, whatever it does";
  const Spec crashes = Script("#!/bin/sh\nread line\necho broken >&2\nexit 3\n");
  outcome = Begin(crashes);
  EXPECT_EQ(executor::TypeOf(Call(crashes, "1")), "Crashed");
  const StartOutcome crashed = outcome.get();
  EXPECT_EQ(TypeOf(crashed), "Crashed");
  EXPECT_THAT(crashed.logs.err, IsEmpty()) << "the call may have brought secrets";
}

TEST_F(ProcessDriverStartTest, AShortIdleTimeIsNoFailure) {
  const Spec function = Script("#!/bin/sh\nwhile read line; do echo '{\"payload\": 1}'; done\n");
  TargetOf(function).idle_timeout = std::chrono::milliseconds(1);
  EXPECT_EQ(TypeOf(TryStart(function)), "");
  EXPECT_TRUE(Eventually([&] { return driver().workers() == 0; }));
}

TEST_F(ProcessDriverStartTest, AProgramThatDoesNotReadItsCallsIsCalledAsBefore) {
  const Spec function = Script("#!/bin/sh\necho '{\"payload\": 1}'\n");
  EXPECT_EQ(TypeOf(TryStart(function)), "");
  EXPECT_FALSE(Call(function, "1").error);
}

TEST_F(ProcessDriverStartTest, AFailedTryHoldsBackNoCall) {
  const Spec function =
      Script("#!/bin/sh\n[ -e \"$HOME/go\" ] || exit 3\nread line; echo '{\"payload\": 1}'\n");
  EXPECT_EQ(TypeOf(TryStart(function)), "Crashed");
  std::ofstream(FolderOf(function) + "/go").put('x');
  EXPECT_FALSE(Call(function, "1").error);
}

TEST_F(ProcessDriverStartTest, TheLogStaysWithTheReasonWhileItMayNotBeTried) {
  const Spec function = Python("print('connecting')\nraise ValueError('no')\n");
  EXPECT_THAT(TryStart(function).logs.out, Contains("connecting"));
  EXPECT_THAT(TryStart(function).logs.out, Contains("connecting"));
}

TEST_F(ProcessDriverStartTest, EndsWithTheDriver) {
  options_.start_timeout = std::chrono::hours(1);
  const Spec function = Python("import time\ntime.sleep(3600)\n");
  auto outcome = Begin(function);
  ASSERT_TRUE(Eventually([&] { return driver().workers() == 1; }));
  driver().Stop();
  EXPECT_EQ(TypeOf(outcome.get()), "Unavailable");
  EXPECT_EQ(TypeOf(TryStart(function)), "Unavailable");
}

}  // namespace
}  // namespace penstock::executor
