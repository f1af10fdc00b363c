#include "services/function-executor/drivers/process/spawner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace penstock::executor {
namespace {

constexpr int kRequestFd = 3;
constexpr int kAnswerFd = 4;
// Above all numbers that the child's descriptors get, so that no dup2 hits the source of a later
// one.
constexpr int kChildFdMin = 10;

absl::Status ErrnoStatus(std::string_view action, int error) {
  return absl::UnavailableError(fmt::format("cannot {}: {}", action, std::strerror(error)));
}

// A pipe of which the child gets one end.
struct Pipe {
  UniqueFd ours;
  UniqueFd childs;
};

enum class Direction { kToChild, kFromChild };

absl::StatusOr<Pipe> MakePipe(Direction direction) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("make a pipe", errno);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Pipe pipe;
  pipe.ours = direction == Direction::kToChild ? std::move(write_end) : std::move(read_end);
  const UniqueFd low =
      direction == Direction::kToChild ? std::move(read_end) : std::move(write_end);
  pipe.childs = UniqueFd(::fcntl(low.get(), F_DUPFD_CLOEXEC, kChildFdMin));
  if (!pipe.childs.valid()) return ErrnoStatus("duplicate a descriptor", errno);
  if (::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus("make a pipe non-blocking", errno);
  }
  return pipe;
}

// The two structures of posix_spawn, released with their functions.
class SpawnSetup {
 public:
  SpawnSetup() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~SpawnSetup() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  // A new session from the first moment on (so that the group can be killed), and signals as in a
  // fresh process: what our threads block or ignore is no business of a function.
  void ResetProcess() {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  void Give(const Pipe& pipe, int number) {
    ::posix_spawn_file_actions_adddup2(&actions_, pipe.childs.get(), number);
  }
  void GiveNullInput() {
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  void CloseFrom(int number) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, number); }

  int Spawn(const LaunchPlan& plan, pid_t* pid) {
    const auto pointers = [](const std::vector<std::string>& strings) {
      std::vector<char*> result;
      for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
      result.push_back(nullptr);
      return result;
    };
    std::vector<char*> arguments = pointers(plan.arguments);
    std::vector<char*> environment = pointers(plan.environment);
    return ::posix_spawn(pid, arguments.front(), &actions_, &attributes_, arguments.data(),
                         environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<SpawnedProcess> SpawnProcess(const LaunchPlan& plan) {
  absl::StatusOr<Pipe> input = MakePipe(Direction::kToChild);
  if (!input.ok()) return input.status();
  absl::StatusOr<Pipe> output = MakePipe(Direction::kFromChild);
  if (!output.ok()) return output.status();
  absl::StatusOr<Pipe> err_log = MakePipe(Direction::kFromChild);
  if (!err_log.ok()) return err_log.status();
  absl::StatusOr<Pipe> out_log = Pipe{};
  if (plan.private_channel) out_log = MakePipe(Direction::kFromChild);
  if (!out_log.ok()) return out_log.status();

  SpawnSetup setup;
  setup.ResetProcess();
  setup.Give(*err_log, STDERR_FILENO);
  if (plan.private_channel) {
    setup.GiveNullInput();
    setup.Give(*out_log, STDOUT_FILENO);
    setup.Give(*input, kRequestFd);
    setup.Give(*output, kAnswerFd);
    setup.CloseFrom(kAnswerFd + 1);
  } else {
    setup.Give(*input, STDIN_FILENO);
    setup.Give(*output, STDOUT_FILENO);
    setup.CloseFrom(STDERR_FILENO + 1);
  }
  SpawnedProcess process;
  if (const int error = setup.Spawn(plan, &process.pid); error != 0) {
    return ErrnoStatus("start " + plan.arguments.front(), error);
  }
  // By number: glibc 2.36 declares its pidfd_open without C linkage. It is closed on exec.
  process.pidfd = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!process.pidfd.valid()) {
    const int error = errno;
    ::kill(process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
    return ErrnoStatus("watch a worker process", error);
  }
  process.input = std::move(input->ours);
  process.output = std::move(output->ours);
  process.out_log = std::move(out_log->ours);
  process.err_log = std::move(err_log->ours);
  return process;
}

}  // namespace penstock::executor
