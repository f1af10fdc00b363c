// Starts the child program of these tests and talks to it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace penstock::lifecycle {

class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> argv{const_cast<char*>(CHILD_PROGRAM)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, CHILD_PROGRAM, &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    out_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
  }

  pid_t pid() const { return pid_; }
  void Signal(int signal) const { kill(pid_, signal); }

  // The next line of its standard output, or "" at its end or after ten seconds.
  std::string ReadLine() {
    for (;;) {
      if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
        const std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      pollfd fd{out_, POLLIN, 0};
      if (poll(&fd, 1, 10'000) <= 0) return "";
      char bytes[256];
      const ssize_t size = read(out_, bytes, sizeof(bytes));
      if (size <= 0) return "";
      buffer_.append(bytes, static_cast<std::size_t>(size));
    }
  }

  // Its exit code, minus the number of the signal that killed it, or -1000 after ten seconds.
  int WaitForExit() {
    // Its end closes the pipe, which is what the deadline can wait for.
    while (!ReadLine().empty()) {
    }
    pollfd fd{out_, POLLIN, 0};
    if (poll(&fd, 1, 10'000) <= 0) return -1000;
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) return -1000;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string buffer_;
};

}  // namespace penstock::lifecycle
