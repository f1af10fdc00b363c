// Records of executions in a SQLite file, written behind.
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

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/metrics/metrics.h"
#include "libs/sqlite/connection.h"
#include "libs/sqlite/reader_pool.h"
#include "services/function-executor/ports/execution_store.h"

namespace penstock::executor {

struct SqliteExecutionStoreOptions {
  std::string path;
  // Records that started longer ago are deleted, and so are the oldest beyond the count and the
  // bytes.
  Microseconds retention_age{7LL * 24 * 3600 * 1'000'000};
  std::int64_t retention_count = 1'000'000;
  std::int64_t retention_bytes = 0;  // 0: no limit.
  // How long a record may wait to be written with others.
  Microseconds write_interval{100'000};
  // Records that may wait; from half of it on they lose bodies and logs.
  std::size_t queue_max = 20'000;
};

// One file, and not one a day: the limit by count must cut within a day anyway, lists and filters
// stay one query, and a slice of deletes a transaction keeps each of them short. Written with
// synchronous=NORMAL by a thread of its own: a power cut loses the last seconds of records, never
// an outcome. A read waits until what was taken before it is written. A batch that cannot be
// written is dropped, counted and logged.
class SqliteExecutionStore final : public ExecutionStore {
 public:
  using Options = SqliteExecutionStoreOptions;

  // `clock` and `metrics` must outlive the store.
  static absl::StatusOr<std::unique_ptr<SqliteExecutionStore>> Open(Options options,
                                                                    const Clock& clock,
                                                                    metrics::Registry& metrics);
  ~SqliteExecutionStore() override;

  void Append(ExecutionRecord record, std::function<void()> taken) override;
  void Get(const std::string& space, const std::string& id, GetDone done) override;
  void List(const ExecutionQuery& query, ListDone done) override;
  void Stop() override;

  // Records deleted by retention since the start.
  std::int64_t deleted() const;

 private:
  struct Blocked {
    ExecutionRecord record;
    std::function<void()> taken;
  };
  using Task = std::function<void()>;

  SqliteExecutionStore(Options options, const Clock& clock, metrics::Registry& metrics,
                       std::unique_ptr<sqlite::Connection> writer,
                       std::unique_ptr<sqlite::ReaderPool> readers);

  // Runs `task` once everything taken so far is written.
  void AfterWritten(Task task);
  void Run();
  // Waits for something to do, and takes it. False at the end.
  bool TakeBatch(std::deque<ExecutionRecord>* batch, std::vector<Task>* tasks,
                 std::deque<Blocked>* blocked);
  void Push(ExecutionRecord record);
  void WriteBatch(const std::deque<ExecutionRecord>& batch);

  const Options options_;
  const Clock& clock_;
  metrics::Counter& written_;
  metrics::Counter& dropped_;
  metrics::Counter& bodies_dropped_;
  metrics::Counter& waits_;
  const std::unique_ptr<sqlite::Connection> writer_;
  const std::unique_ptr<sqlite::ReaderPool> readers_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<ExecutionRecord> pending_;
  std::deque<Blocked> blocked_;  // No room in `pending_` yet.
  std::vector<Task> tasks_;
  bool writing_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  std::int64_t deleted_total_ = 0;
  std::int64_t deleted_last_ = 0;  // By the last batch: above 0, there may be more to delete.
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace penstock::executor
