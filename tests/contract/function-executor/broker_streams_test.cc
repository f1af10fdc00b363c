// Streams of one broker after each other: credit says that nothing of the earlier ones runs.
#include <signal.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "tests/contract/function-executor/fixture.h"

namespace penstock::executor {
namespace {

using Result = ipb::InvocationResult;

class BrokerStreamsTest : public ExecutorTest {};

INSTANTIATE_TEST_SUITE_P(Transports, BrokerStreamsTest, ::testing::Bool(), TransportName);

TEST_P(BrokerStreamsTest, ASecondStreamOfABrokerWaitsForTheFirst) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  manager_->Put("echo", Noop());
  StartNode();
  const auto first = OpenStream("broker-1");
  EXPECT_EQ(first->WaitForCredit(), 256);
  first->Send({Delivery("d1", "slow")});
  WaitForHanging(1);
  const auto second = OpenStream("broker-1");
  second->WaitForInstance();
  // What it sends nevertheless is refused; the answer tells too that the first message was read.
  second->Send({Delivery("d2", "echo")});
  EXPECT_EQ(second->WaitForResult("d2").outcome(), Result::REJECTED);
  EXPECT_EQ(second->credit(), 0);
  first->Break();
  EXPECT_EQ(second->WaitForCredit(), 256);
  EXPECT_TRUE(Eventually([&] { return gone() == 1; }));
  second->Send({Delivery("d3", "echo")});
  EXPECT_EQ(second->WaitForResult("d3").outcome(), Result::SUCCEEDED);
}

TEST_P(BrokerStreamsTest, StreamsComeInTurn) {
  StartNode();
  auto first = OpenStream("broker-1");
  first->WaitForCredit();
  auto second = OpenStream("broker-1");
  second->Send({Delivery("d1", "none")});
  second->WaitForResult("d1");
  auto third = OpenStream("broker-1");
  third->Send({Delivery("d1", "none")});
  third->WaitForResult("d1");
  // One that waits may go as well.
  second->Break();
  second->WaitForEnd().IgnoreError();
  EXPECT_EQ(third->credit(), 0);
  first->Break();
  EXPECT_EQ(third->WaitForCredit(), 256);
}

TEST_P(BrokerStreamsTest, OthersDoNotWait) {
  manager_->Put("slow", HttpTo(Url("/hang")));
  StartNode();
  const auto one = OpenStream("broker-1");
  one->WaitForCredit();
  one->Send({Delivery("d1", "slow")});
  WaitForHanging(1);
  EXPECT_EQ(OpenStream("broker-2")->WaitForCredit(), 256);
  const auto nameless = OpenStream();
  EXPECT_EQ(nameless->WaitForCredit(), 256);
  EXPECT_EQ(OpenStream()->WaitForCredit(), 256);
}

// A function that writes its process id to a file and then sleeps.
functions::v1::Function Sleeper(const std::string& pid_file) {
  return Python(
      "import os, time\n"
      "def handle(ctx, payload):\n"
      "    with open('" +
      pid_file +
      ".new', 'w') as file:\n"
      "        file.write(str(os.getpid()))\n"
      "    os.rename('" +
      pid_file + ".new', '" + pid_file +
      "')\n"
      "    time.sleep(60)\n");
}

pid_t WaitForPid(const std::string& pid_file) {
  pid_t pid = 0;
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(std::ifstream(pid_file) >> pid); }));
  EXPECT_EQ(::kill(pid, 0), 0) << "it runs";
  return pid;
}

void ExpectDead(pid_t pid) {
  ASSERT_GT(pid, 0);
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_P(BrokerStreamsTest, WithTheCreditTheWorkerOfALostCallIsDead) {
  const std::string pid_file = folder_.path() + "/pid";
  manager_->Put("sleeper", Sleeper(pid_file));
  StartNode();
  const auto first = OpenStream("broker-1");
  first->WaitForCredit();
  first->Send({Delivery("d1", "sleeper")});
  const pid_t pid = WaitForPid(pid_file);
  first->Break();
  const auto second = OpenStream("broker-1");
  second->WaitForCredit();
  ExpectDead(pid);
}

TEST_P(BrokerStreamsTest, WithItsResultTheWorkerOfACancelledCallIsDead) {
  const std::string pid_file = folder_.path() + "/pid";
  manager_->Put("sleeper", Sleeper(pid_file));
  StartNode();
  const auto stream = OpenStream("broker-1");
  const ipb::Invocation delivery = Delivery("d1", "sleeper");
  stream->Send({delivery});
  const pid_t pid = WaitForPid(pid_file);
  stream->Cancel(delivery);
  const Result result = stream->WaitForResult("d1");
  EXPECT_EQ(result.outcome(), Result::RETRYABLE);
  EXPECT_EQ(result.error().type(), "Cancelled");
  EXPECT_FALSE(result.timed_out());
  ExpectDead(pid);
}

TEST_P(BrokerStreamsTest, ANameHasALimit) {
  StartNode();
  const auto stream = OpenStream(std::string(129, 'b'));
  const absl::Status status = stream->WaitForEnd();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("broker"), std::string::npos) << status;
}

}  // namespace
}  // namespace penstock::executor
