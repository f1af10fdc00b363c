// One running worker process: its pipes, its log, its end.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "services/function-executor/drivers/process/event_loop.h"
#include "services/function-executor/drivers/process/log_collector.h"
#include "services/function-executor/drivers/process/spawner.h"

namespace penstock::executor {

// Carries lines to and from a worker. It knows neither calls nor JSON.
// Lives on the event loop's thread alone.
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  // Told what happens, on the loop's thread. It may call any method of the process in return.
  class Listener {
   public:
    virtual ~Listener() = default;
    // A line came, without its end. `more`: further output follows already.
    virtual void OnLine(std::string line, bool more) = 0;
    // A line is longer than allowed. Nothing is read any more.
    virtual void OnLineTooLong() = 0;
    // The process has ended, its group is killed, its log is read. The last call.
    virtual void OnExit() = 0;
  };

  struct Limits {
    std::size_t line_bytes_max = 0;
    std::size_t log_bytes_max = 0;
    std::size_t log_line_bytes_max = 0;
  };

  // `listener` must live until OnExit has returned.
  WorkerProcess(EventLoop& loop, SpawnedProcess process, const Limits& limits, Listener* listener);

  // Begins to read. Nothing is called back before.
  void Watch();

  // Writes `line`, which has its end. The one before must have been answered.
  void Send(std::string line);

  // False while a part of the last line is not in the pipe: a worker that answers before that would
  // read the rest as its next call.
  bool AllSent() const { return unsent_.empty(); }

  // Tells the worker that no more requests come.
  void CloseInput();

  // SIGKILL to the process and its group. OnExit follows.
  void Kill();

  // Takes what has been written to the log until now.
  void ReadLogs();

  // False when the worker has written what no call has asked for, or cannot write any more.
  bool Quiet() const;

  // True when not one byte of the last line sent was read: also after the end, within OnExit.
  bool LastLineUnread() const;

  // How the process ended, as a phrase: "exited with code 3". Valid from OnExit on.
  std::string DescribeExit() const;
  // True when it ended by a SIGKILL that was not ours. Valid from OnExit on.
  bool killed_by_other() const;

  // What the process and its children have used, on all cores, to 10 ms; a child that ended counts
  // once it was waited for. 0 when the process is gone.
  Microseconds CpuTime() const;

  LogCollector& logs() { return logs_; }
  pid_t pid() const { return pid_; }

 private:
  void WatchOutput();
  void WatchLog(LogCollector::Stream stream);
  void WatchExit();
  void ReadOutput();
  bool TakeOutput(std::string_view chunk);
  // False at the end of the stream.
  bool ReadLog(LogCollector::Stream stream);
  void WriteRest();
  void OnExited();

  EventLoop::Descriptor& log_pipe(LogCollector::Stream stream) {
    return stream == LogCollector::Stream::kOut ? out_log_ : err_log_;
  }

  EventLoop& loop_;
  const pid_t pid_;
  const std::size_t line_bytes_max_;
  Listener* const listener_;
  EventLoop::Descriptor pidfd_;
  EventLoop::Descriptor input_;
  EventLoop::Descriptor output_;
  EventLoop::Descriptor out_log_;
  EventLoop::Descriptor err_log_;
  LogCollector logs_;
  std::string partial_line_;  // Read, and not yet ended.
  std::string unsent_;
  std::size_t sent_ = 0;  // Bytes of the last line that are in the pipe.
  bool killed_ = false;   // By us.
  bool exited_ = false;
  int exit_status_ = 0;  // As waitpid gives it.
};

}  // namespace penstock::executor
