// A process with a driver and one call that never ends. The worker's id goes to the file named by
// argv[2].
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>

#include "libs/base/time.h"
#include "services/function-executor/drivers/process/process_driver.h"

int main(int argc, char** argv) {
  using namespace penstock;            // NOLINT: a test program.
  using namespace penstock::executor;  // NOLINT
  if (argc != 3) return EXIT_FAILURE;
  ProcessDriver driver({.work_dir = argv[1], .launcher_path = PENSTOCK_LAUNCHER}, SystemClock());

  auto function = std::make_shared<FunctionSpec>();
  function->uid = "hang";
  function->version = 1;
  function->environment["PID_FILE"] = argv[2];
  ProcessTarget target;
  target.runtime = "python3";
  target.source =
      "import os, signal\n"
      "def handle(ctx, payload):\n"
      "    with open(os.environ['PID_FILE'] + '.tmp', 'w') as file:\n"
      "        file.write(str(os.getpid()))\n"
      "    os.rename(os.environ['PID_FILE'] + '.tmp', os.environ['PID_FILE'])\n"
      "    while True:\n"
      "        signal.pause()\n";
  function->target = target;

  Invocation invocation;
  invocation.function = function;
  invocation.payload = std::make_shared<const std::string>();
  invocation.deadline = SystemClock().Monotonic() + std::chrono::minutes(2);
  std::promise<void> done;
  const auto call = driver.Start(std::move(invocation), [&done](Outcome) { done.set_value(); });
  done.get_future().wait();
  return EXIT_SUCCESS;
}
