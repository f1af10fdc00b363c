// A program whose life the tests watch: its first argument says how it behaves. It writes a word to
// standard output at each step.
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>

#include "libs/lifecycle/app.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/lifecycle/signals.h"

namespace penstock::lifecycle {
namespace {

void Say(const std::string& word) {
  const std::string line = word + "\n";
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, line.data(), line.size());
}

[[noreturn]] void BlockForever() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (;;) never.wait(lock);
}

class TestApp final : public App {
 public:
  TestApp(std::string mode, StopRequest* request) : mode_(std::move(mode)), request_(request) {}

  absl::Status Start() override {
    if (mode_ == "fail-start") return absl::UnavailableError("the port is taken");
    Say("started");
    if (mode_ == "slow-start") BlockForever();
    if (mode_ == "hangup-in-start") {
      kill(getpid(), SIGHUP);
      Say("hung up");
    }
    if (mode_ == "request") request_->Request("the store failed", 7);
    if (mode_ == "sigpipe") WriteToAClosedPipe();
    return absl::OkStatus();
  }

  absl::Status Stop(std::chrono::milliseconds deadline) override {
    Say("stopping");
    if (mode_ == "slow-stop") BlockForever();
    if (mode_ == "fail-stop") return absl::DeadlineExceededError("two calls did not finish");
    Say("stopped " + std::to_string(deadline.count()));
    return absl::OkStatus();
  }

 private:
  static void WriteToAClosedPipe() {
    int ends[2];
    if (pipe(ends) != 0) return;
    close(ends[0]);
    if (write(ends[1], "x", 1) < 0) Say("survived");
    close(ends[1]);
  }

  const std::string mode_;
  StopRequest* const request_;
};

int Main(const std::string& mode, const std::string& argument) {
  BlockSignals();
  if (mode == "wait") {
    Say("started");
    Say("signal " + std::to_string(WaitForStop([] { Say("hangup"); })));
    return 0;
  }
  if (mode == "lock") {
    const auto lock = DataFolderLock::Acquire(argument, "lock-holder");
    if (!lock.ok()) return 1;
    Say("locked");
    WaitForStop();
    return 0;
  }
  StopRequest request;
  TestApp app(mode, &request);
  RunOptions options;
  options.stop_deadline = std::chrono::milliseconds(argument.empty() ? 10'000 : 10);
  options.stop_grace = std::chrono::milliseconds(argument.empty() ? 10'000 : 10);
  options.stop_request = &request;
  if (mode == "hangup" || mode == "hangup-in-start") options.on_hangup = [] { Say("hangup"); };
  return RunUntilSignal(app, options);
}

}  // namespace
}  // namespace penstock::lifecycle

int main(int argc, char** argv) {
  return penstock::lifecycle::Main(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
}
