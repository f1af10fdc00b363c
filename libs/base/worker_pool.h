// Threads for work that may block: SQLite, files, compilation of filters.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace penstock {

// A fixed number of threads behind a bounded queue. Thread-safe. Jobs must not throw.
class WorkerPool {
 public:
  struct Options {
    std::string name = "worker";  // Thread name, at most 15 bytes.
    std::size_t threads = 2;
    std::size_t queue_max = 4096;
  };

  explicit WorkerPool(Options options);
  // Stops as Stop() does.
  ~WorkerPool();

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Queues `job`; false when the queue is full or the pool is stopped, and then `job` never runs.
  [[nodiscard]] bool TryPost(std::function<void()> job);

  // Refuses new jobs, runs the queued ones, joins. Idempotent.
  void Stop();

  std::size_t queued() const;

 private:
  void Run();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace penstock
