// Workers that are kept, used up and limited, and what they are kept apart from.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <utility>

#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

using testing::HasSubstr;

class ProcessDriverPoolTest : public ProcessDriverFixture {
 protected:
  static Spec Kept(int workers, const std::string& source = "def handle(ctx, p): return p\n") {
    Spec function = Python(source);
    TargetOf(function).workers_min = workers;
    return function;
  }
  bool Runs(int workers) {
    return Eventually([&] { return driver().workers() == workers; });
  }
  // A function that answers its process id.
  static Spec PidFunction() {
    return Python("import os\ndef handle(ctx, p): return os.getpid()\n");
  }
};

TEST_F(ProcessDriverPoolTest, StartsTheWorkersThatAreKeptWithoutACall) {
  const Spec function = Kept(2);
  driver().Keep(function->uid, {function});
  EXPECT_TRUE(Runs(2));
}

TEST_F(ProcessDriverPoolTest, KeepsThemBeyondTheIdleTimeAndReplacesTheDead) {
  const Spec function =
      Kept(1, "import os\ndef handle(ctx, p):\n  if p: os._exit(3)\n  return os.getpid()\n");
  TargetOf(function).idle_timeout = std::chrono::milliseconds(1);
  driver().Keep(function->uid, {function});
  const std::string first = *Call(function, "0").payload;
  // It has been idle for longer than its time whenever this call comes.
  EXPECT_EQ(*Call(function, "0").payload, first);
  EXPECT_EQ(TypeOf(Call(function, "1")), "Crashed");
  const std::string second = *Call(function, "0").payload;
  EXPECT_NE(second, first);
  EXPECT_TRUE(Runs(1));
}

TEST_F(ProcessDriverPoolTest, LetsThemGoWhenTheVersionIsNotReachedAnyMore) {
  const Spec function = Kept(2);
  TargetOf(function).idle_timeout = std::chrono::milliseconds(1);
  driver().Keep(function->uid, {function});
  ASSERT_TRUE(Runs(2));
  driver().Keep(function->uid, {});
  EXPECT_TRUE(Runs(0));
}

TEST_F(ProcessDriverPoolTest, TriesAgainWhenAKeptWorkerDoesNotStart) {
  options_.backoff_initial = std::chrono::milliseconds(10);
  const std::string flag = folder_.path() + "/flag";
  const Spec function =
      Kept(1, "import os\nassert os.path.exists('" + flag + "')\ndef handle(ctx, p): return p\n");
  driver().Keep(function->uid, {function});
  EXPECT_THAT(TypeOf(Call(function, "1")), HasSubstr("AssertionError"));
  std::ofstream(flag) << "";
  EXPECT_TRUE(Eventually([&] { return !Call(function, "1").error; }));
  EXPECT_TRUE(Runs(1));
}

TEST_F(ProcessDriverPoolTest, DoesNotSpinOnAKeptProgramThatDoesNotWaitForItsCall) {
  options_.backoff_initial = std::chrono::seconds(60);
  const std::string file = folder_.path() + "/starts";
  for (const auto& [rest, error] :
       {std::pair("", "Crashed"), {"echo unasked\nread -r line\n", "InvalidAnswer"}}) {
    std::filesystem::remove(file);
    const Spec function = Script("#!/bin/sh\necho start >> " + file + "\n" + rest);
    TargetOf(function).workers_min = 1;
    driver().Keep(function->uid, {function});
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(file); }));
    ASSERT_TRUE(Runs(0));
    // Served by the error of the start that failed: no other was made.
    EXPECT_EQ(TypeOf(Call(function, "1")), error);
    EXPECT_EQ(std::filesystem::file_size(file), std::string("start\n").size());
  }
}

TEST_F(ProcessDriverPoolTest, SaysWhyAKeptProgramCannotBeStarted) {
  const Spec function = Function("exec", "");
  TargetOf(function).command = {"/no/such/program"};
  TargetOf(function).workers_min = 1;
  driver().Keep(function->uid, {function});
  EXPECT_EQ(TypeOf(Call(function, "1")), "StartFailed");
}

TEST_F(ProcessDriverPoolTest, AWorkerEndsAfterTheCallsThatTheFunctionSays) {
  const Spec function = PidFunction();
  TargetOf(function).workers_max = 1;
  TargetOf(function).calls_max = 3;
  std::multiset<std::string> pids;
  for (int i = 0; i < 9; ++i) pids.insert(*Call(function, "0").payload);
  for (const std::string& pid : pids) EXPECT_EQ(pids.count(pid), 3U) << pid;
}

TEST_F(ProcessDriverPoolTest, EndsACallThatUsesUpItsCpuTime) {
  const Spec function = Python("def handle(ctx, p):\n  while p: pass\n  return p\n");
  TargetOf(function).cpu_time_max = std::chrono::milliseconds(200);
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(TypeOf(outcome), "CpuTimeExceeded");
  EXPECT_EQ(MessageOf(outcome), "the call used up its CPU time of 200ms");
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(*Call(function, "0").payload, "0");
}

TEST_F(ProcessDriverPoolTest, CpuTimeOfEarlierCallsAndOfWaitingDoesNotCount) {
  const Spec function = Python(
      "import time\n"
      "def handle(ctx, p):\n"
      "  end = time.process_time() + 0.15\n"
      "  while time.process_time() < end: pass\n"
      "  time.sleep(0.3)\n"
      "  return p\n");
  TargetOf(function).workers_max = 1;
  TargetOf(function).cpu_time_max = std::chrono::milliseconds(400);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(MessageOf(Call(function, "1")), "");
}

TEST_F(ProcessDriverPoolTest, CpuTimeOfChildrenCounts) {
  const Spec function = Python(
      "import subprocess, sys\n"
      "def handle(ctx, p): subprocess.run([sys.executable, '-c', 'while True: pass'])\n");
  TargetOf(function).cpu_time_max = std::chrono::milliseconds(300);
  EXPECT_EQ(TypeOf(Call(function, "1")), "CpuTimeExceeded");
}

TEST_F(ProcessDriverPoolTest, CpuTimeOfChildrenOfAnyThreadCounts) {
  const Spec function = Python(
      "import subprocess, sys, threading\n"
      "def burn(): subprocess.run([sys.executable, '-c', 'while True: pass'])\n"
      "def handle(ctx, p):\n"
      "  thread = threading.Thread(target=burn); thread.start(); thread.join()\n");
  TargetOf(function).cpu_time_max = std::chrono::milliseconds(300);
  EXPECT_EQ(TypeOf(Call(function, "1")), "CpuTimeExceeded");
}

TEST_F(ProcessDriverPoolTest, LimitsOpenFiles) {
  const Spec function = Python(
      "import os\n"
      "def handle(ctx, p):\n"
      "  opened = []\n"
      "  try:\n"
      "    while True: opened.append(os.open('/dev/null', os.O_RDONLY))\n"
      "  except OSError as error: return [len(opened) < 128, error.strerror]\n"
      "  finally:\n"
      "    for fd in opened: os.close(fd)\n");
  TargetOf(function).files_max = 128;
  EXPECT_EQ(*Call(function, "1").payload, R"([true,"Too many open files"])");
}

class ProcessIsolationTest : public ProcessDriverPoolTest {
 protected:
  // Whether this system lets the launcher make the namespaces at all.
  static bool HasNamespaces() {
    return std::system("unshare --fork --pid --net --ipc --mount true 2>/dev/null") == 0 ||
           std::system("unshare --user --fork --pid --net --ipc --mount true 2>/dev/null") == 0;
  }
};

TEST_F(ProcessIsolationTest, NoNetworkReachesNobody) {
  if (!HasNamespaces()) GTEST_SKIP() << "this system lets no program make namespaces";
  const Spec function = Python(
      "import os, socket\n"
      "def handle(ctx, p):\n"
      "  server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen()\n"
      "  client = socket.socket()\n"
      "  try: client.connect(server.getsockname())\n"
      "  except OSError as error: return [error.strerror, os.environ['PENSTOCK_ISOLATION']]\n");
  TargetOf(function).isolation.no_network = true;
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, R"(["Network is unreachable","no-network"])");
}

TEST_F(ProcessIsolationTest, OwnNamespacesShowNoOtherProcess) {
  if (!HasNamespaces()) GTEST_SKIP() << "this system lets no program make namespaces";
  const Spec function = Python(
      "import os\n"
      "def handle(ctx, p):\n"
      "  return [os.getpid() < 10, all(int(n) < 10 for n in os.listdir('/proc') if "
      "n.isdigit())]\n");
  TargetOf(function).isolation.own_namespaces = true;
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, "[true,true]");
}

TEST_F(ProcessIsolationTest, NothingOfOwnNamespacesOutlivesTheWorker) {
  if (!HasNamespaces()) GTEST_SKIP() << "this system lets no program make namespaces";
  // A session of its own is beyond the reach of a process group's SIGKILL.
  const std::string file = folder_.path() + "/beat";
  const Spec function = Python(
      "import os, time\n"
      "def handle(ctx, p):\n"
      "  if os.fork() == 0:\n"
      "    os.setsid()\n"
      "    if os.fork() == 0:\n"
      "      held = open('" +
      file +
      "', 'w'); os.lockf(held.fileno(), os.F_LOCK, 0)\n"
      "      while True: time.sleep(60)\n"
      "    os._exit(0)\n"
      "  while not os.path.exists('" +
      file +
      "'): time.sleep(0.01)\n"
      "  time.sleep(0.1)\n"
      "  if p: time.sleep(60)\n"
      "  return p\n");
  TargetOf(function).isolation.own_namespaces = true;
  EXPECT_EQ(TypeOf(Call(function, "1", std::chrono::seconds(2))), "Timeout");
  EXPECT_TRUE(Eventually([&] {
    const int fd = ::open(file.c_str(), O_WRONLY);
    const bool is_free = fd >= 0 && ::lockf(fd, F_TLOCK, 0) == 0;
    ::close(fd);
    return is_free;
  }));
}

TEST_F(ProcessIsolationTest, AWorkerInNamespacesEndsAsItsProgramDid) {
  if (!HasNamespaces()) GTEST_SKIP() << "this system lets no program make namespaces";
  const Spec function = Python(
      "import os, signal\n"
      "def handle(ctx, p):\n"
      "  os._exit(7) if p == 1 else os.kill(os.getpid(), signal.SIGTERM)\n");
  TargetOf(function).isolation.own_namespaces = true;
  EXPECT_THAT(MessageOf(Call(function, "1")), HasSubstr("exited with code 7"));
  EXPECT_THAT(MessageOf(Call(function, "2")), HasSubstr("signal 15"));
}

TEST_F(ProcessIsolationTest, AnExecutorThatIsNotRootGivesThemToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "the tests above show it: they do not run as root";
  const std::string as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  const std::string probe =
      as_nobody +
      "unshare --user --map-current-user --net --ipc --pid --fork --mount-proc "
      "true 2>/dev/null";
  if (std::system(probe.c_str()) != 0) {
    GTEST_SKIP() << "this system lets only root make namespaces";
  }
  const std::filesystem::path launcher = folder_.path() + "/launch";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  std::filesystem::copy_file(PENSTOCK_LAUNCHER, launcher);
  std::filesystem::permissions(launcher, std::filesystem::perms(0755));
  const std::string output = folder_.path() + "/output";
  const std::string command = as_nobody + launcher.string() +
                              " --require=no-network --require=namespaces --"
                              " /bin/sh -c 'id -u; ls -d /proc/[0-9]* | wc -l; "
                              "grep -c : /proc/net/dev; echo $PENSTOCK_ISOLATION' >" +
                              output;
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(output);
  std::string user, processes, devices, isolation;
  file >> user >> processes >> devices >> isolation;
  EXPECT_EQ(user, "65534");
  EXPECT_LT(std::stoi("0" + processes), 10);
  EXPECT_EQ(devices, "1");  // Its own loopback.
  EXPECT_EQ(isolation, "no-network,namespaces");
}

TEST_F(ProcessIsolationTest, WorkersRunAsTheUserOfTheExecutorsSettings) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can run workers as another user";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  options_.user = "nobody";
  options_.user_id = 65534;
  options_.group_id = 65534;
  const Spec function = Python(
      "import os\n"
      "def handle(ctx, p):\n"
      "  open(os.path.join(os.environ['HOME'], 'mine'), 'w').close()\n"
      "  return [os.getuid(), os.getgid(), os.getgroups()]\n");
  TargetOf(function).isolation.own_user = true;
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(MessageOf(outcome), "");
  EXPECT_EQ(*outcome.payload, "[65534,65534,[]]");
}

TEST_F(ProcessIsolationTest, WhatIsNotPossibleFailsTheCallUnlessBestEffortIsEnough) {
  const Spec function = Python("def handle(ctx, p): return p\n");
  TargetOf(function).isolation.own_user = true;
  const Outcome refused = Call(function, "1");
  EXPECT_EQ(TypeOf(refused), "StartFailed");
  EXPECT_EQ(refused.error->category, ErrorCategory::kSystem);
  EXPECT_THAT(MessageOf(refused), HasSubstr("process.user names none"));

  const Spec lenient = Python("def handle(ctx, p): return p\n");
  TargetOf(lenient).isolation = {.own_user = true, .best_effort = true};
  const Outcome run = Call(lenient, "1");
  EXPECT_EQ(MessageOf(run), "");
  ASSERT_EQ(run.logs.err.size(), 1U);
  EXPECT_THAT(run.logs.err[0], HasSubstr("the function runs without another user"));
}

}  // namespace
}  // namespace penstock::executor
