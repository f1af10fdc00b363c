// The program, killed: what it answered is there afterwards.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/rpc/channel.h"
#include "tests/contract/function-manager/fixture.h"

extern char** environ;

namespace penstock::functions {
namespace {

// The program as a child process, serving on a free port.
class Program {
 public:
  explicit Program(const TestFolder& folder) {
    std::vector<std::string> arguments = {
        PENSTOCK_FUNCTION_MANAGER,           "--grpc.listen=127.0.0.1:0",
        "--admin.listen=127.0.0.1:0",        "--log.format=json",
        "--data_dir=" + folder.File("data"), "--peer.token_file=" + folder.File("peer.token")};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    log_ = fdopen(ends[0], "r");
    ReadAddress();
  }
  ~Program() { Kill(SIGKILL); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Sends `signal`, waits for the end, and gives the wait status.
  int Kill(int signal) {
    if (pid_ <= 0) return 0;
    kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    fclose(log_);
    return status;
  }

  const std::string& address() const { return address_; }

 private:
  // Waits for the line that says where it serves; the end of the pipe means that it never will.
  void ReadAddress() {
    const std::string key = "\"address\":\"";
    char line[4096];
    while (fgets(line, sizeof line, log_) != nullptr) {
      const std::string text = line;
      const std::size_t at = text.find(key);
      if (at == std::string::npos) continue;
      const std::size_t start = at + key.size();
      address_ = text.substr(start, text.find('"', start) - start);
      return;
    }
    ADD_FAILURE() << "the program ended before it served";
  }

  pid_t pid_ = -1;
  FILE* log_ = nullptr;
  std::string address_;
};

std::unique_ptr<pb::FunctionManagerService::Stub> StubOf(const Program& program) {
  auto channel = rpc::MakeChannel(program.address(), {.own_connection = true});
  EXPECT_TRUE(channel.ok()) << channel.status();
  return pb::FunctionManagerService::NewStub(*channel);
}

// Creates functions until the service is gone; the names of those that were answered.
std::set<std::string> CreateUntilGone(pb::FunctionManagerService::Stub& stub, int caller) {
  std::set<std::string> answered;
  for (int i = 0;; ++i) {
    pb::CreateFunctionRequest request;
    request.set_parent("spaces/default");
    request.set_function_id("f" + std::to_string(caller) + "-" + std::to_string(i));
    request.mutable_function()->mutable_noop();
    pb::Function response;
    if (!stub.CreateFunction(NewContext().get(), request, &response).ok()) return answered;
    answered.insert(response.name());
  }
}

TEST(FunctionManagerCrashTest, KeepsWhatItAnsweredWhenItIsKilled) {
  const TestFolder folder;
  std::vector<std::set<std::string>> answered(4);
  {
    Program program(folder);
    auto stub = StubOf(program);
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&, caller] { answered[caller] = CreateUntilGone(*stub, caller); });
    }
    // Once some were answered, the kill comes in the middle of others.
    pb::GetFunctionRequest probe;
    probe.set_name("spaces/default/functions/f0-20");
    pb::Function found;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!stub->GetFunction(NewContext().get(), probe, &found).ok() &&
           std::chrono::steady_clock::now() < deadline) {
    }
    program.Kill(SIGKILL);
    for (std::thread& caller : callers) caller.join();
  }
  Program program(folder);
  auto stub = StubOf(program);
  std::size_t count = 0;
  for (const auto& names : answered) {
    for (const std::string& name : names) {
      pb::GetFunctionRequest request;
      request.set_name(name);
      pb::Function response;
      ASSERT_TRUE(stub->GetFunction(NewContext().get(), request, &response).ok()) << name;
      ++count;
    }
  }
  EXPECT_GT(count, 20U);
  stub.reset();  // A connected client delays the stop.
  const int status = program.Kill(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace penstock::functions
