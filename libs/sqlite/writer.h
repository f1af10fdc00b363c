// The single writer of a database: group commit on one thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/sqlite/connection.h"

namespace penstock::sqlite {

// Runs write jobs on its own thread. All jobs that wait form one IMMEDIATE transaction, so that
// many share one sync; each runs in a savepoint, so that a failed job is undone alone. Thread-safe.
class Writer {
 public:
  // Runs once, on the writer thread, inside the transaction; must not begin or end one itself.
  using Job = std::function<absl::Status(Connection&)>;
  // Runs once, on the writer thread, after COMMIT (or after it is certain that the job has no
  // effect). It must not block: it holds up all later writes.
  using Done = std::function<void(absl::Status)>;

  struct Options {
    std::string name = "db-writer";  // Thread name, at most 15 bytes.
    std::size_t queue_max = 10'000;
    std::size_t batch_max = 512;
    // Runs first in each transaction, and must not write: when it fails, the jobs do not run and
    // get its status. Empty: nothing is asked.
    Job guard;
  };

  Writer(std::unique_ptr<Connection> connection, Options options);
  // Stops as Stop() does.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Queues `job` and returns at once; callable from gRPC reactions. `done` is called exactly once.
  // When the queue is full (RESOURCE_EXHAUSTED) or the writer stopped (UNAVAILABLE), `done` runs
  // before Write returns, in the calling thread: do not hold a lock that `done` takes.
  void Write(Job job, Done done);

  // Writes and waits. Blocks: never on a callback thread, nor on the writer's own.
  absl::Status WriteAndWait(Job job);

  // Refuses new jobs, runs the queued ones, joins the thread, closes the connection. Idempotent.
  // Not to be called on the writer thread.
  void Stop();

  std::size_t queued() const;
  // Transactions committed, and jobs in them, since the start. For metrics.
  std::uint64_t commits() const;
  std::uint64_t jobs_committed() const;

 private:
  struct Item {
    Job job;
    Done done;
    absl::Status result;
  };

  void Run();
  void RunBatch(std::vector<Item>& batch);
  absl::Status Begin();
  absl::Status RunJob(Item& item);

  const Options options_;
  std::unique_ptr<Connection> connection_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  bool stopping_ = false;
  std::uint64_t commits_ = 0;
  std::uint64_t jobs_committed_ = 0;
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace penstock::sqlite
