// What the tests of the process driver share: a driver in a folder of its own, and calls that wait.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "libs/base/ids.h"
#include "libs/base/time.h"
#include "services/function-executor/drivers/process/process_driver.h"

namespace penstock::executor {

// A folder that goes with this object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Waits until `condition` holds; false when it does not within `limit`.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

class ProcessDriverFixture : public ::testing::Test {
 protected:
  using Spec = std::shared_ptr<FunctionSpec>;

  // The driver is made at first use, so that a test can change the options before.
  ProcessDriver& driver() {
    if (!driver_) {
      options_.work_dir = folder_.path() + "/work";
      options_.launcher_path = PENSTOCK_LAUNCHER;
      driver_ = std::make_unique<ProcessDriver>(options_, SystemClock());
    }
    return *driver_;
  }

  static Spec Function(const std::string& runtime, const std::string& source) {
    auto function = std::make_shared<FunctionSpec>();
    function->space = "default";
    function->id = "f";
    function->uid = NewUuid();
    function->version = 1;
    ProcessTarget target;
    target.runtime = runtime;
    target.source = source;
    function->target = target;
    return function;
  }
  static Spec Python(const std::string& source) { return Function("python3", source); }
  static Spec Script(const std::string& source) { return Function("exec", source); }
  static ProcessTarget& TargetOf(const Spec& function) {
    return std::get<ProcessTarget>(function->target);
  }

  static Invocation Invoke(const Spec& function, const std::string& payload,
                           std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    Invocation invocation;
    invocation.execution_id = "e1";
    invocation.function = function;
    invocation.payload = std::make_shared<const std::string>(payload);
    invocation.deadline = SystemClock().Monotonic() + limit;
    invocation.deadline_wall = SystemClock().Wall() + limit;
    return invocation;
  }

  struct Started {
    std::shared_ptr<Driver::Call> call;
    std::future<Outcome> outcome;
  };
  Started Start(Invocation invocation) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    Started started;
    started.outcome = promise->get_future();
    started.call = driver().Start(std::move(invocation), [promise](Outcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return started;
  }
  Outcome Call(Invocation invocation) { return Start(std::move(invocation)).outcome.get(); }
  Outcome Call(const Spec& function, const std::string& payload,
               std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    return Call(Invoke(function, payload, limit));
  }

  std::string WorkFolder() const { return folder_.path() + "/work"; }

  std::string FolderOf(const Spec& function) const {
    return WorkFolder() + "/" + function->uid + "/" + std::to_string(function->version);
  }

  TempFolder folder_;
  ProcessDriverOptions options_;
  std::unique_ptr<ProcessDriver> driver_;
};

// The type of the error, or "" for success; the message is shown when a test fails.
inline std::string TypeOf(const Outcome& outcome) {
  return outcome.error ? outcome.error->type : std::string();
}
inline std::string MessageOf(const Outcome& outcome) {
  return outcome.error ? outcome.error->message : std::string();
}

}  // namespace penstock::executor
