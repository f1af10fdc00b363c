#include "libs/jq/check.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/jq/program.h"

namespace penstock::jq {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kTimeLimit{5'000};
constexpr std::size_t kAddressBytesMax = 256U << 20;
constexpr std::size_t kAnswerBytesMax = 64U << 10;

absl::Status Unavailable(std::string_view action, int error) {
  return absl::UnavailableError(
      fmt::format("cannot check jq programs: cannot {}: {}", action, std::strerror(error)));
}

// A worker and our end of the socket that is its standard input and output.
class Child {
 public:
  static absl::StatusOr<Child> Start(const std::string& path) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return Unavailable("make a socket", errno);
    }
    Child child(ends[0]);
    const int error = child.Spawn(path, ends[1]);
    ::close(ends[1]);
    if (error != 0) return Unavailable("start " + path, error);
    return child;
  }

  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (socket_ >= 0) ::close(socket_);
  }
  Child(Child&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&&) = delete;

  // Sends all of `request`, and that nothing follows. What a dead child does not take is not
  // missed.
  void Send(std::string_view request) const {
    while (!request.empty()) {
      const ssize_t count = ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) break;
      request.remove_prefix(static_cast<std::size_t>(count));
    }
    ::shutdown(socket_, SHUT_WR);
  }

  // All that it answers; nothing when that takes too long.
  std::optional<std::string> Receive() const {
    const auto end = SteadyClock::now() + kTimeLimit;
    std::string answer;
    std::array<char, 4096> buffer{};
    while (answer.size() < kAnswerBytesMax) {
      const auto left = std::chrono::ceil<milliseconds>(end - SteadyClock::now());
      if (left <= milliseconds(0)) return std::nullopt;
      pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
      const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return answer;
  }

 private:
  explicit Child(int socket) : socket_(socket) {}

  int Spawn(const std::string& path, int child_end) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, child_end, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, child_end, STDOUT_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string limit = fmt::format("--address-bytes={}", kAddressBytesMax);
    std::string parent = fmt::format("--parent={}", ::getpid());
    std::array<char*, 4> arguments = {const_cast<char*>(path.c_str()), limit.data(), parent.data(),
                                      nullptr};
    std::array<char*, 1> environment = {nullptr};
    const int error = ::posix_spawn(&pid_, path.c_str(), &actions, &attributes, arguments.data(),
                                    environment.data());
    if (error != 0) pid_ = -1;
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
  }

  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace

std::string FindWorker() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path beside = folder / "penstock-jq";
  if (fs::exists(beside, error)) return beside.string();
  return (folder.parent_path() / "bin" / "penstock-jq").string();
}

absl::Status Check(std::string_view field, std::string_view program, const std::string& worker) {
  AssertMayBlock("compiling a jq program");
  if (const std::string problem = FindProblem(program); !problem.empty()) {
    return FieldError(field, problem);
  }
  ASSIGN_OR_RETURN(const Child child, Child::Start(worker));
  // With an empty input, so that nothing runs after it was compiled.
  child.Send(fmt::format("{} 0\n{}", program.size(), program));
  const auto answer = child.Receive();
  if (!answer) return FieldError(field, "does not compile within 5 s");
  if (answer->starts_with(">\n")) return absl::OkStatus();
  if (answer->starts_with('c')) {
    return FieldError(field, std::string_view(*answer).substr(1, answer->find('\n') - 1));
  }
  if (answer->starts_with('m')) return FieldError(field, "does not compile within 256 MiB");
  return FieldError(field, "cannot be compiled: jq crashed on it");
}

}  // namespace penstock::jq
