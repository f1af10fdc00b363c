// Read-only connections for reads beside the writer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "libs/sqlite/connection.h"

namespace penstock::sqlite {

// A fixed number of read-only connections. Each job sees one consistent snapshot. Thread-safe.
class ReaderPool {
 public:
  using Job = std::function<absl::Status(Connection&)>;
  using Done = std::function<void(absl::Status)>;

  struct Options {
    std::string name = "db-reader";  // Thread name of the workers, at most 15 bytes.
    std::size_t connections = 4;
    std::size_t queue_max = 4096;  // Asynchronous reads that may wait.
  };

  // Opens `options.connections` connections on `open` (its read_only is ignored: they are).
  static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(OpenOptions open, Options options);

  // Stops as Stop() does.
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  // Runs `job` in the calling thread, on a connection that is free, waiting for one when all are
  // busy. Blocks: never on a callback thread.
  absl::Status Read(const Job& job);

  // Runs `job` on a worker thread and then `done`, exactly once, on the same thread. Callable from
  // gRPC reactions. When too many wait (RESOURCE_EXHAUSTED) or the pool stopped (UNAVAILABLE),
  // `done` runs before this returns, in the calling thread: do not hold a lock that `done` takes.
  void ReadAsync(Job job, Done done);

  // Refuses new reads, runs the queued ones, closes the connections. Idempotent.
  void Stop();

 private:
  ReaderPool(std::vector<std::unique_ptr<Connection>> connections, const Options& options);
  absl::Status ReadOn(Connection& connection, const Job& job);

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> free_;
  std::size_t in_use_ = 0;
  bool stopping_ = false;  // No new asynchronous reads.
  bool closed_ = false;    // No new reads at all.
  WorkerPool workers_;
};

}  // namespace penstock::sqlite
