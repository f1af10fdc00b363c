#include "services/function-executor/drivers/process/worker_process.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace penstock::executor {
namespace {

constexpr std::size_t kReadBytes = 32U << 10;
// What is read of one pipe before others get their turn; a flood must not hold the loop.
constexpr std::size_t kReadTurnBytes = 512U << 10;

namespace fs = std::filesystem;

// What is looked at for the CPU time of one worker: processes, and threads of all of them, on the
// thread that serves every worker.
constexpr std::size_t kFamilyMax = 64;
constexpr std::size_t kThreadsMax = 256;

// Those that threads of the process have started, of as many threads as `threads_left` allows.
void AddChildrenOf(pid_t pid, std::size_t* threads_left, std::vector<pid_t>* processes) {
  std::error_code error;
  fs::directory_iterator thread(fmt::format("/proc/{}/task", pid), error);
  while (!error && *threads_left > 0 && thread != fs::directory_iterator()) {
    --*threads_left;
    std::ifstream children(thread->path() / "children");
    for (pid_t child = 0; children >> child;) processes->push_back(child);
    thread.increment(error);
  }
}

// The CPU time of one process and of the children that it has waited for, in clock ticks.
std::int64_t TicksOf(pid_t pid) {
  // proc(5): utime, stime, cutime and cstime are fields 14 to 17 of "stat". The name in field 2 may
  // hold anything; it ends with the last ')'.
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t ticks = 0;
  for (int field = 14; field <= 17; ++field) {
    std::int64_t part = 0;
    fields >> part;
    ticks += part;
  }
  return ticks;
}

int BytesInPipe(int fd) {
  int bytes = 0;
  if (fd < 0 || ::ioctl(fd, FIONREAD, &bytes) != 0) return 0;
  return bytes;
}

ssize_t ReadSome(int fd, char* buffer, std::size_t size) {
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer, size);
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

WorkerProcess::WorkerProcess(EventLoop& loop, SpawnedProcess process, const Limits& limits,
                             Listener* listener)
    : loop_(loop),
      pid_(process.pid),
      line_bytes_max_(limits.line_bytes_max),
      listener_(listener),
      pidfd_(loop, std::move(process.pidfd)),
      input_(loop, std::move(process.input)),
      output_(loop, std::move(process.output)),
      out_log_(loop, std::move(process.out_log)),
      err_log_(loop, std::move(process.err_log)),
      logs_(limits.log_bytes_max, limits.log_line_bytes_max) {}

void WorkerProcess::Watch() {
  if (pidfd_.fd() < 0) {
    // The system is out of epoll watches. Without one the end would never be seen: it comes now.
    Kill();
    ::waitpid(pid_, &exit_status_, 0);
    exited_ = true;
    loop_.Post([self = shared_from_this()] { self->listener_->OnExit(); });
    return;
  }
  WatchExit();
  WatchOutput();
  WatchLog(LogCollector::Stream::kOut);
  WatchLog(LogCollector::Stream::kErr);
}

void WorkerProcess::WatchOutput() {
  if (output_.fd() < 0) return;
  output_.WhenReadable([self = shared_from_this()] {
    self->ReadOutput();
    self->WatchOutput();
  });
}

void WorkerProcess::WatchLog(LogCollector::Stream stream) {
  if (log_pipe(stream).fd() < 0) return;
  log_pipe(stream).WhenReadable([self = shared_from_this(), stream] {
    if (!self->ReadLog(stream)) self->log_pipe(stream).Close();
    self->WatchLog(stream);
  });
}

void WorkerProcess::WatchExit() {
  pidfd_.WhenReadable([self = shared_from_this()] { self->OnExited(); });
}

void WorkerProcess::ReadOutput() {
  char buffer[kReadBytes];
  std::size_t total = 0;
  while (total < kReadTurnBytes && output_.fd() >= 0) {
    const ssize_t count = ReadSome(output_.fd(), buffer, sizeof buffer);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      // Mostly the worker is just ending, and OnExited follows; how it ended must not be covered
      // up.
      output_.Close();
      return;
    }
    total += static_cast<std::size_t>(count);
    if (!TakeOutput({buffer, static_cast<std::size_t>(count)})) return;
  }
}

// False when nothing more is to be read.
bool WorkerProcess::TakeOutput(std::string_view chunk) {
  while (!chunk.empty()) {
    const std::size_t end = chunk.find('\n');
    const std::string_view piece = chunk.substr(0, end);
    if (partial_line_.size() + piece.size() > line_bytes_max_) {
      partial_line_.clear();
      output_.Close();
      listener_->OnLineTooLong();
      return false;
    }
    partial_line_ += piece;
    if (end == std::string_view::npos) return true;
    chunk.remove_prefix(end + 1);
    std::string line = std::exchange(partial_line_, {});
    listener_->OnLine(std::move(line), !chunk.empty() || BytesInPipe(output_.fd()) > 0);
  }
  return true;
}

bool WorkerProcess::ReadLog(LogCollector::Stream stream) {
  const int fd = log_pipe(stream).fd();
  if (fd < 0) return true;
  char buffer[kReadBytes];
  std::size_t total = 0;
  while (total < kReadTurnBytes) {
    const ssize_t count = ReadSome(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    logs_.Append(stream, {buffer, static_cast<std::size_t>(count)});
    total += static_cast<std::size_t>(count);
  }
  return true;
}

void WorkerProcess::ReadLogs() {
  ReadLog(LogCollector::Stream::kOut);
  ReadLog(LogCollector::Stream::kErr);
}

void WorkerProcess::Send(std::string line) {
  unsent_ = std::move(line);
  sent_ = 0;
  WriteRest();
}

void WorkerProcess::WriteRest() {
  while (sent_ < unsent_.size() && input_.fd() >= 0) {
    const ssize_t count = ::write(input_.fd(), unsent_.data() + sent_, unsent_.size() - sent_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      input_.WhenWritable([self = shared_from_this()] { self->WriteRest(); });
      return;
    }
    // The worker reads no more: it may still answer, and else its end or the deadline follows.
    if (count < 0) return;
    sent_ += static_cast<std::size_t>(count);
  }
  if (sent_ == unsent_.size()) unsent_ = {};  // May be large; the worker may idle for long.
}

void WorkerProcess::CloseInput() { input_.Close(); }

void WorkerProcess::Kill() {
  if (exited_) return;
  killed_ = true;
  // The number cannot belong to another process: it is reaped in OnExited only.
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
}

bool WorkerProcess::Quiet() const {
  return output_.fd() >= 0 && partial_line_.empty() && BytesInPipe(output_.fd()) == 0;
}

bool WorkerProcess::LastLineUnread() const {
  return static_cast<std::size_t>(BytesInPipe(input_.fd())) >= sent_;
}

void WorkerProcess::OnExited() {
  // The process is still a zombie, so its number and its group's cannot have been given away.
  ::kill(-pid_, SIGKILL);
  // An answer may have come with the end. A hostile child that keeps writing is cut off.
  const auto self = shared_from_this();
  ReadOutput();
  ReadLogs();
  if (::waitpid(pid_, &exit_status_, WNOHANG) == 0) {
    WatchExit();
    return;
  }
  exited_ = true;
  output_.Close();
  listener_->OnExit();
  pidfd_.Close();
  input_.Close();
  out_log_.Close();
  err_log_.Close();
}

std::string WorkerProcess::DescribeExit() const {
  if (WIFSIGNALED(exit_status_)) {
    const int number = WTERMSIG(exit_status_);
    const char* description = ::sigdescr_np(number);
    return fmt::format("was killed by signal {} ({})", number,
                       description == nullptr ? "unknown" : description);
  }
  return fmt::format("exited with code {}", WEXITSTATUS(exit_status_));
}

bool WorkerProcess::killed_by_other() const {
  return !killed_ && WIFSIGNALED(exit_status_) && WTERMSIG(exit_status_) == SIGKILL;
}

Microseconds WorkerProcess::CpuTime() const {
  std::vector<pid_t> processes{pid_};
  std::size_t threads_left = kThreadsMax;
  std::int64_t ticks = 0;
  for (std::size_t i = 0; i < processes.size() && i < kFamilyMax; ++i) {
    ticks += TicksOf(processes[i]);
    AddChildrenOf(processes[i], &threads_left, &processes);
  }
  return Microseconds(ticks * 1'000'000 / ::sysconf(_SC_CLK_TCK));
}

}  // namespace penstock::executor
