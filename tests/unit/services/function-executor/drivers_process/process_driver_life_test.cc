// How workers come and go: deadlines, limits, queues, the end of versions, of the driver and of its
// process.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "tests/unit/services/function-executor/drivers_process/process_fixture.h"

namespace penstock::executor {
namespace {

using namespace std::chrono_literals;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Runs until it is killed.
constexpr char kHang[] =
    "import os, signal\n"
    "def handle(ctx, payload):\n"
    "    print('started', flush=True)\n"
    "    if payload == 'hang':\n"
    "        while True: signal.pause()\n"
    "    return os.getpid()\n";

bool Alive(pid_t pid) {
  // A killed process whose parent has not reaped it yet is not alive.
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return false;
  return text.substr(text.rfind(')') + 2, 1) != "Z";
}

pid_t PidIn(const std::string& path) {
  std::ifstream file(path);
  pid_t pid = 0;
  file >> pid;
  return pid;
}

std::size_t OpenDescriptors() {
  std::size_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

class ProcessLifeTest : public ProcessDriverFixture {};

TEST_F(ProcessLifeTest, KillsAWorkerAtTheDeadlineAndKeepsItsLog) {
  const auto function = Python(kHang);
  const std::string first = *Call(function, "1").payload;
  const Outcome outcome = Call(function, "\"hang\"", 500ms);
  EXPECT_EQ(TypeOf(outcome), "Timeout");
  EXPECT_EQ(outcome.error->category, ErrorCategory::kFunction);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_THAT(MessageOf(outcome), HasSubstr("500ms"));
  EXPECT_THAT(outcome.logs.out, ElementsAre("started"));
  const Outcome next = Call(function, "1");
  ASSERT_EQ(TypeOf(next), "") << MessageOf(next);
  EXPECT_NE(*next.payload, first);
  EXPECT_TRUE(Eventually([&] { return !Alive(std::stoi(first)); }));
}

TEST_F(ProcessLifeTest, CancelsARunningAndAWaitingCall) {
  const auto function = Python(kHang);
  TargetOf(function).workers_max = 1;
  Started running = Start(Invoke(function, "\"hang\""));
  Started waiting = Start(Invoke(function, "1"));
  waiting.call->Cancel();
  EXPECT_EQ(TypeOf(waiting.outcome.get()), "Cancelled");
  running.call->Cancel();
  const Outcome cancelled = running.outcome.get();
  EXPECT_EQ(TypeOf(cancelled), "Cancelled");
  EXPECT_FALSE(cancelled.timed_out);
  EXPECT_EQ(TypeOf(Call(function, "1")), "");
  running.call->Cancel();  // Too late, and harmless.
}

TEST_F(ProcessLifeTest, ACallThatIsTooLateDoesNotRun) {
  const Outcome outcome = Call(Python(kHang), "1", -1ms);
  EXPECT_EQ(TypeOf(outcome), "Timeout");
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(driver().workers(), 0);
}

TEST_F(ProcessLifeTest, ASourceThatHangsWhileLoadingTimesOut) {
  options_.start_timeout = 300ms;
  const auto function = Python("import signal\nwhile True: signal.pause()\n");
  const Outcome outcome = Call(function, "1");
  EXPECT_EQ(TypeOf(outcome), "Timeout");
  EXPECT_THAT(MessageOf(outcome), HasSubstr("did not load within 300ms"));
}

TEST_F(ProcessLifeTest, ServesManyCallsWithFewWorkers) {
  const auto function = Python(
      "import os\n"
      "def handle(ctx, payload):\n"
      "    for _ in range(20000): pass\n"
      "    return [payload, os.getpid()]\n");
  std::vector<Started> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(Start(Invoke(function, std::to_string(i))));
  std::set<std::string> pids;
  for (int i = 0; i < 64; ++i) {
    const Outcome outcome = calls[static_cast<std::size_t>(i)].outcome.get();
    ASSERT_EQ(TypeOf(outcome), "") << MessageOf(outcome);
    const std::string& payload = *outcome.payload;
    EXPECT_EQ(payload.substr(1, payload.find(',') - 1), std::to_string(i));
    pids.insert(payload.substr(payload.find(',')));
  }
  EXPECT_LE(pids.size(), 4U);
  EXPECT_LE(driver().workers(), 4);
}

TEST_F(ProcessLifeTest, RefusesCallsBeyondTheQueue) {
  options_.queue_max = 2;
  const auto function = Python(kHang);
  TargetOf(function).workers_max = 1;
  std::vector<Started> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(Start(Invoke(function, "\"hang\"")));
  const Outcome refused = Call(function, "1");
  EXPECT_EQ(TypeOf(refused), "Busy");
  EXPECT_EQ(refused.error->category, ErrorCategory::kSystem);
  driver().Stop();
  for (Started& call : calls) EXPECT_EQ(TypeOf(call.outcome.get()), "Unavailable");
}

TEST_F(ProcessLifeTest, TellsAWaitingCallThatNoWorkerWasFree) {
  const auto function = Python(kHang);
  TargetOf(function).workers_max = 1;
  ASSERT_EQ(TypeOf(Call(function, "1")), "");
  Started running = Start(Invoke(function, "\"hang\""));
  const Outcome waited = Call(function, "1", 50ms);
  EXPECT_EQ(TypeOf(waited), "Timeout");
  EXPECT_EQ(waited.error->category, ErrorCategory::kSystem);
  running.call->Cancel();
}

TEST_F(ProcessLifeTest, ReplacesAWorkerAfterItsShareOfCalls) {
  options_.calls_per_worker_max = 2;
  const auto function = Python(kHang);
  std::vector<std::string> pids;
  for (int i = 0; i < 3; ++i) pids.push_back(*Call(function, "1").payload);
  EXPECT_EQ(pids[0], pids[1]);
  EXPECT_NE(pids[1], pids[2]);
}

TEST_F(ProcessLifeTest, EndsIdleWorkersAndForgetsTheFolder) {
  const auto function = Python(kHang);
  TargetOf(function).idle_timeout = 20ms;
  ASSERT_EQ(TypeOf(Call(function, "1")), "");
  EXPECT_TRUE(Eventually([&] { return driver().workers() == 0; }));
  EXPECT_TRUE(Eventually([&] { return !std::filesystem::exists(FolderOf(function)); }));
  EXPECT_EQ(TypeOf(Call(function, "1")), "");  // And starts again on demand.
}

TEST_F(ProcessLifeTest, ForgetEndsOldVersionsOnceTheirCallsAreDone) {
  const auto old_version = Python(kHang);
  auto new_version = std::make_shared<FunctionSpec>(*old_version);
  new_version->version = 2;
  ASSERT_EQ(TypeOf(Call(old_version, "1")), "");
  ASSERT_EQ(TypeOf(Call(new_version, "1")), "");
  Started running = Start(Invoke(old_version, "\"hang\"", 300ms));
  driver().Forget(old_version->uid, 2);
  EXPECT_EQ(TypeOf(running.outcome.get()), "Timeout");
  EXPECT_TRUE(Eventually([&] { return !std::filesystem::exists(FolderOf(old_version)); }));
  EXPECT_TRUE(std::filesystem::exists(FolderOf(new_version)));
  EXPECT_EQ(driver().workers(), 1);
  driver().Forget(old_version->uid, 3);
  EXPECT_TRUE(Eventually([&] { return driver().workers() == 0; }));
}

TEST_F(ProcessLifeTest, StopEndsEverythingAndRefusesMore) {
  const std::size_t descriptors = OpenDescriptors();
  const auto function = Python(kHang);
  const pid_t idle = std::stoi(*Call(function, "1").payload);
  Started running = Start(Invoke(function, "\"hang\""));
  driver().Stop();
  EXPECT_EQ(TypeOf(running.outcome.get()), "Unavailable");
  EXPECT_FALSE(Alive(idle));
  EXPECT_EQ(driver().workers(), 0);
  EXPECT_FALSE(std::filesystem::exists(FolderOf(function)));
  EXPECT_EQ(TypeOf(Call(function, "1")), "Unavailable");
  driver().Stop();
  running.call->Cancel();
  driver_.reset();
  running.call->Cancel();  // A handle may outlive the driver.
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left behind";
}

TEST_F(ProcessLifeTest, RemovesWhatAKilledDriverLeftBehindAndNothingElse) {
  const std::string work = folder_.path() + "/work";
  std::filesystem::create_directories(work + "/some-uid/3/.penstock");
  std::filesystem::create_directories(work + "/precious/3");
  EXPECT_EQ(TypeOf(Call(Python(kHang), "1")), "");
  EXPECT_FALSE(std::filesystem::exists(work + "/some-uid"));
  EXPECT_TRUE(std::filesystem::exists(work + "/precious/3"));
}

TEST_F(ProcessLifeTest, AHostileUidStaysInsideTheWorkFolder) {
  const auto function = Python(kHang);
  function->uid = "../../escape";
  EXPECT_EQ(TypeOf(Call(function, "1")), "");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/escape"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/../escape"));
}

TEST_F(ProcessLifeTest, KillsTheWholeGroupWithTheWorker) {
  const std::string pid_file = folder_.path() + "/child";
  const auto function = Python(
      "import os, signal, subprocess\n"
      "def handle(ctx, payload):\n"
      "    for _ in range(3): child = subprocess.Popen(['/bin/sleep', '600'])\n"
      "    with open('" +
      pid_file +
      "', 'w') as file: file.write(str(child.pid))\n"
      "    if payload == 'exit': os._exit(1)\n"
      "    while True: signal.pause()\n");
  Started running = Start(Invoke(function, "\"hang\""));
  ASSERT_TRUE(Eventually([&] { return PidIn(pid_file) > 0; }));
  pid_t child = PidIn(pid_file);
  running.call->Cancel();
  EXPECT_EQ(TypeOf(running.outcome.get()), "Cancelled");
  EXPECT_TRUE(Eventually([&] { return !Alive(child); }));
  EXPECT_EQ(TypeOf(Call(function, "\"exit\"")), "Crashed");
  child = PidIn(pid_file);
  EXPECT_TRUE(Eventually([&] { return !Alive(child); }));
}

TEST_F(ProcessLifeTest, KillsAWorkerWhoseAnswerIsTooLarge) {
  const auto function = Python(
      "import os\n"
      "def handle(ctx, payload): return 'x' * payload if payload else os.getpid()\n");
  TargetOf(function).output_bytes_max = 1000;
  const std::string first = *Call(function, "0").payload;
  EXPECT_EQ(Call(function, "998").payload->size(), 1000U);
  const Outcome slightly = Call(function, "999");
  EXPECT_EQ(TypeOf(slightly), "OutputTooLarge");
  EXPECT_THAT(MessageOf(slightly), HasSubstr("1000 bytes"));
  EXPECT_EQ(TypeOf(Call(function, "50000000")), "OutputTooLarge");
  EXPECT_NE(*Call(function, "0").payload, first);
}

TEST_F(ProcessLifeTest, CallsMayBeStartedFromManyThreads) {
  const auto function = Python("def handle(ctx, payload): return payload\n");
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  (void)driver();
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j) {
        const std::string payload = std::to_string(i * 1000 + j);
        if (*Call(function, payload).payload == payload) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 200);
}

TEST_F(ProcessLifeTest, NoWorkerOutlivesTheProcessOfTheDriver) {
  // Orphans come to this process, so that their end can be waited for.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const std::string pid_file = folder_.path() + "/worker";
  const std::string work = folder_.path() + "/work";
  std::string program = PENSTOCK_DRIVER_PARENT;
  char* arguments[] = {program.data(), const_cast<char*>(work.c_str()),
                       const_cast<char*>(pid_file.c_str()), nullptr};
  pid_t parent = 0;
  ASSERT_EQ(::posix_spawn(&parent, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(pid_file); }));
  const pid_t worker = PidIn(pid_file);
  EXPECT_TRUE(Alive(worker));
  ::kill(parent, SIGKILL);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(Eventually([&] { return ::waitpid(worker, nullptr, WNOHANG) == worker; }));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace penstock::executor
