#include "services/function-executor/middleware/transform/jq_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace penstock::executor {
namespace {

using ::testing::HasSubstr;
using Kind = JqResult::Kind;

constexpr Microseconds kSecond{1'000'000};
// Endless, with little memory.
constexpr char kForever[] = "def f: f; f";

// Child processes of this one that run penstock-jq.
std::vector<pid_t> JqProcesses() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    // "pid (name) state parent …"
    const std::size_t close = text.rfind(')');
    if (close == std::string::npos || text.find("(penstock-jq)") == std::string::npos) continue;
    const std::string rest = text.substr(close + 4);
    if (text[close + 2] != 'Z' && std::stoi(rest) == ::getpid()) found.push_back(std::stoi(name));
  }
  return found;
}

class JqPoolTest : public ::testing::Test {
 protected:
  static JqPoolOptions Options() {
    JqPoolOptions options;
    options.worker_path = PENSTOCK_JQ;
    options.run_time_max = Microseconds(20'000'000);
    return options;
  }

  void Make(JqPoolOptions options) {
    pool_ = std::make_unique<JqPool>(std::move(options), SystemClock());
  }

  std::future<JqResult> Start(const std::string& program, const std::string& input,
                              Microseconds timeout = 60 * kSecond) {
    auto promise = std::make_shared<std::promise<JqResult>>();
    pool_->Run(std::make_shared<const std::string>(program),
               std::make_shared<const std::string>(input), SystemClock().Monotonic() + timeout,
               [promise](JqResult result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }

  JqResult Run(const std::string& program, const std::string& input,
               Microseconds timeout = 60 * kSecond) {
    return Start(program, input, timeout).get();
  }

  void ExpectWorks() {
    const JqResult result = Run(".a", R"({"a":[1,"x"]})");
    EXPECT_EQ(result.kind, Kind::kOutput) << result.text;
    EXPECT_EQ(result.text, R"([1,"x"])");
  }

  static std::vector<pid_t> WaitForProcesses(std::size_t count) {
    std::vector<pid_t> found;
    while ((found = JqProcesses()).size() != count) std::this_thread::yield();
    return found;
  }

  std::unique_ptr<JqPool> pool_;
};

TEST_F(JqPoolTest, Transforms) {
  Make(Options());
  ExpectWorks();
  ExpectWorks();
}

TEST_F(JqPoolTest, StartsNothingBeforeTheFirstTransformation) {
  Make(Options());
  EXPECT_EQ(pool_->workers(), 0);
}

TEST_F(JqPoolTest, SaysWhyThereIsNoOutput) {
  Make(Options());
  EXPECT_EQ(Run(".a", "[").kind, Kind::kNotJson);
  const JqResult failed = Run(".a", "[]");
  EXPECT_EQ(failed.kind, Kind::kFailed);
  EXPECT_THAT(failed.text, HasSubstr("Cannot index array"));
  const JqResult broken = Run(".a |", "[]");
  EXPECT_EQ(broken.kind, Kind::kFailed);
  EXPECT_THAT(broken.text, HasSubstr("syntax error"));
  EXPECT_EQ(pool_->workers(), 1);
}

TEST_F(JqPoolTest, PassesLargeInputs) {
  Make(Options());
  const std::string text(900'000, 'x');
  const JqResult result = Run(".", "\"" + text + "\"");
  EXPECT_EQ(result.kind, Kind::kOutput) << result.text;
  EXPECT_EQ(result.text.size(), text.size() + 2);
}

TEST_F(JqPoolTest, LimitsTheOutput) {
  JqPoolOptions options = Options();
  options.output_bytes_max = 10'000;
  Make(options);
  EXPECT_EQ(Run("\"x\" * 9998", "0").kind, Kind::kOutput);
  EXPECT_EQ(Run("\"x\" * 9999", "0").kind, Kind::kOutputTooLarge);
  ExpectWorks();
}

TEST_F(JqPoolTest, EndsAnEndlessLoopAndGoesOn) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  options.run_time_max = Microseconds(200'000);
  Make(options);
  EXPECT_EQ(Run(kForever, "0").kind, Kind::kRunTooLong);
  pool_.reset();
  options.run_time_max = 20 * kSecond;
  Make(options);
  EXPECT_EQ(Run(kForever, "0", Microseconds(200'000)).kind, Kind::kDeadline);
  ExpectWorks();
}

TEST_F(JqPoolTest, KeepsAWorkerThatIsLateForItsCall) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  Make(options);
  // Too late already when the program is compiled.
  EXPECT_EQ(Run(". + 1", "1", Microseconds(1'000)).kind, Kind::kDeadline);
  const auto before = WaitForProcesses(1);
  EXPECT_EQ(Run(". + 1", "1").text, "2");
  EXPECT_EQ(JqProcesses(), before);
}

TEST_F(JqPoolTest, LimitsWhatACompilationTakes) {
  JqPoolOptions options = Options();
  options.run_time_max = Microseconds(100'000);
  options.compile_time_max = Microseconds(100'000);
  Make(options);
  const std::string brackets(8000, '[');
  EXPECT_EQ(Run(brackets + "." + std::string(8000, ']'), "0").kind, Kind::kRunTooLong);
}

TEST_F(JqPoolTest, LimitsMemory) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  options.memory_bytes_max = 64 << 20;
  Make(options);
  EXPECT_EQ(Run("[range(1e9)] | length", "0").kind, Kind::kOutOfMemory);
  EXPECT_EQ(Run(".[1e8] = 1", "[]").kind, Kind::kOutOfMemory);
  ExpectWorks();
}

TEST_F(JqPoolTest, SurvivesACrash) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  Make(options);
  const JqResult arithmetic = Run("(0 - 9223372036854775808) % (0 - 1)", "0");
  EXPECT_EQ(arithmetic.kind, Kind::kCrashed);
  EXPECT_THAT(arithmetic.text, HasSubstr("signal 8"));
  EXPECT_EQ(Run("reduce range(1000000) as $i (.; [.])", "0").kind, Kind::kCrashed);
  ExpectWorks();
}

TEST_F(JqPoolTest, GivesUpAProgramWhoseWorkersAreKilled) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  Make(options);
  auto running = Start(kForever, "0");
  auto waiting = Start(".", "7");
  while (running.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
    for (const pid_t pid : JqProcesses()) ::kill(pid, SIGKILL);
  }
  EXPECT_EQ(running.get().kind, Kind::kCrashed);
  EXPECT_EQ(waiting.get().kind, Kind::kOutput);
}

TEST_F(JqPoolTest, LosesNothingWhenAnIdleWorkerIsKilled) {
  Make(Options());
  for (int i = 0; i < 20; ++i) {
    ExpectWorks();
    for (const pid_t pid : JqProcesses()) ::kill(pid, SIGKILL);
    ExpectWorks();
  }
}

TEST_F(JqPoolTest, GivesUpWhereNoWorkerStarts) {
  JqPoolOptions options = Options();
  options.worker_path = "/nonexistent/penstock-jq";
  Make(options);
  const JqResult missing = Run(".", "0");
  EXPECT_EQ(missing.kind, Kind::kUnavailable);
  EXPECT_THAT(missing.text, HasSubstr("/nonexistent/penstock-jq"));
  options.worker_path = "/bin/false";
  Make(options);
  EXPECT_EQ(Run(".", "0").kind, Kind::kCrashed);
}

TEST_F(JqPoolTest, AnswersEachOfMany) {
  JqPoolOptions options = Options();
  options.queue_max = 5000;
  options.runs_per_worker_max = 300;
  Make(options);
  std::vector<std::future<JqResult>> results;
  for (int i = 0; i < 4000; ++i) results.push_back(Start(". + 1", std::to_string(i)));
  for (int i = 0; i < 4000; ++i) {
    const JqResult result = results[static_cast<std::size_t>(i)].get();
    ASSERT_EQ(result.kind, Kind::kOutput) << result.text;
    ASSERT_EQ(result.text, std::to_string(i + 1));
  }
  EXPECT_LE(pool_->workers(), 2);
}

TEST_F(JqPoolTest, KeepsMoreProgramsApartThanAWorkerHolds) {
  Make(Options());
  for (int round = 0; round < 2; ++round) {
    std::vector<std::future<JqResult>> results;
    for (int i = 0; i < 70; ++i) results.push_back(Start(". + " + std::to_string(i), "1"));
    for (int i = 0; i < 70; ++i) {
      EXPECT_EQ(results[static_cast<std::size_t>(i)].get().text, std::to_string(i + 1));
    }
  }
}

TEST_F(JqPoolTest, RefusesWhatTheQueueDoesNotHold) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  options.queue_max = 2;
  Make(options);
  auto running = Start(kForever, "0");
  WaitForProcesses(1);
  auto first = Start(".", "1");
  auto second = Start(".", "2");
  EXPECT_EQ(Run(".", "3").kind, Kind::kBusy);
  pool_->Stop();
  EXPECT_EQ(running.get().kind, Kind::kUnavailable);
  EXPECT_EQ(first.get().kind, Kind::kUnavailable);
  EXPECT_EQ(second.get().kind, Kind::kUnavailable);
  EXPECT_EQ(Run(".", "4").kind, Kind::kUnavailable);
  EXPECT_TRUE(JqProcesses().empty());
}

TEST_F(JqPoolTest, EndsWhatWaitsAtItsDeadline) {
  JqPoolOptions options = Options();
  options.workers_max = 1;
  Make(options);
  auto running = Start(kForever, "0");
  EXPECT_EQ(Run(".", "1", Microseconds(50'000)).kind, Kind::kDeadline);
  EXPECT_EQ(Run(".", "1", Microseconds(0)).kind, Kind::kDeadline);
  EXPECT_EQ(running.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(JqPoolTest, LeavesAWorkerToOthersBesideAProgramThatHangs) {
  JqPoolOptions options = Options();
  options.run_time_max = Microseconds(300'000);
  Make(options);
  EXPECT_EQ(Run(kForever, "0").kind, Kind::kRunTooLong);
  std::vector<std::future<JqResult>> hanging;
  for (int i = 0; i < 20; ++i) hanging.push_back(Start(kForever, "0"));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) ExpectWorks();
  // One at a time, they take six seconds.
  EXPECT_EQ(hanging.back().wait_for(std::chrono::seconds(0)), std::future_status::timeout)
      << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() << " s";
}

TEST_F(JqPoolTest, GivesAWorkerNoEnvironment) {
  ASSERT_EQ(::setenv("PENSTOCK_TEST_VALUE", "shown", 1), 0);
  Make(Options());
  ExpectWorks();
  const auto processes = JqProcesses();
  ASSERT_FALSE(processes.empty());
  std::ifstream file("/proc/" + std::to_string(processes.front()) + "/environ");
  const std::string environment((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
  EXPECT_EQ(environment.find("PENSTOCK_TEST_VALUE"), std::string::npos);
}

}  // namespace
}  // namespace penstock::executor
