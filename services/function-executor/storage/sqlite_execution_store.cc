#include "services/function-executor/storage/sqlite_execution_store.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "libs/base/status.h"
#include "libs/log/log.h"
#include "services/function-executor/storage/execution_rows.h"

namespace penstock::executor {
namespace {

// Without new records, retention by age looks again after this.
constexpr Microseconds kRetentionInterval{60'000'000};
// While more is to be deleted than one slice.
constexpr Microseconds kRetentionCatchUp{100'000};
constexpr std::int64_t kRetentionSliceMin = 500;
// Rows that one statement deletes.
constexpr std::int64_t kRetentionStep = 16;
// The file's fsyncs hold up those of the event log beside it, the longer the more they write: many
// short ones leave its latency alone.
constexpr int kCheckpointPages = 100;
// A batch of more records is one of a queue that runs full: there throughput comes first.
constexpr std::size_t kPacedRecordsMax = 2'000;
// Of work, after which others get the core, and how long they get it.
constexpr std::chrono::microseconds kStretch{100};
constexpr std::chrono::microseconds kPause{100};

void DropBodies(ExecutionRecord& record) {
  record.input.reset();
  record.output.reset();
  record.logs = {};
}

bool HasBodies(const ExecutionRecord& record) {
  return record.input || record.output || !record.logs.out.empty() || !record.logs.err.empty();
}

// Cuts a batch's work into stretches with pauses between them. Without, it keeps its core for
// milliseconds, and the calls whose threads the kernel queued behind it wait, often beside an idle
// core.
class Pacer {
 public:
  explicit Pacer(bool is_paced) : is_paced_(is_paced) {}

  // Between two pieces of work.
  void Step() {
    if (!is_paced_ || std::chrono::steady_clock::now() - begin_ < kStretch) return;
    std::this_thread::sleep_for(kPause);
    begin_ = std::chrono::steady_clock::now();
  }

 private:
  const bool is_paced_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteExecutionStore>> SqliteExecutionStore::Open(
    Options options, const Clock& clock, metrics::Registry& metrics) {
  sqlite::OpenOptions open;
  open.path = options.path;
  open.synchronous = sqlite::Synchronous::kNormal;
  open.checkpoint_pages = kCheckpointPages;
  ASSIGN_OR_RETURN(auto writer, sqlite::Connection::OpenAndMigrate(open, ExecutionSchema()));
  sqlite::ReaderPool::Options readers;
  readers.name = "exec-reader";
  readers.connections = 2;
  readers.queue_max = 256;
  ASSIGN_OR_RETURN(auto pool, sqlite::ReaderPool::Open(open, readers));
  return std::unique_ptr<SqliteExecutionStore>(new SqliteExecutionStore(
      std::move(options), clock, metrics, std::move(writer), std::move(pool)));
}

SqliteExecutionStore::SqliteExecutionStore(Options options, const Clock& clock,
                                           metrics::Registry& metrics,
                                           std::unique_ptr<sqlite::Connection> writer,
                                           std::unique_ptr<sqlite::ReaderPool> readers)
    : options_(std::move(options)),
      clock_(clock),
      written_(
          metrics.Counter("penstock_executor_records_written_total", "Execution records written")),
      dropped_(metrics.Counter("penstock_executor_records_dropped_total",
                               "Execution records lost because they could not be written")),
      bodies_dropped_(
          metrics.Counter("penstock_executor_record_bodies_dropped_total",
                          "Execution records that lost bodies and logs because many waited")),
      waits_(metrics.Counter("penstock_executor_record_waits_total",
                             "Calls held back because too many execution records waited")),
      writer_(std::move(writer)),
      readers_(std::move(readers)),
      thread_([this] { Run(); }) {}

SqliteExecutionStore::~SqliteExecutionStore() { Stop(); }

void SqliteExecutionStore::Push(ExecutionRecord record) {
  if (pending_.size() >= options_.queue_max / 2 && HasBodies(record)) {
    DropBodies(record);
    bodies_dropped_.Increment();
  }
  pending_.push_back(std::move(record));
}

void SqliteExecutionStore::Append(ExecutionRecord record, std::function<void()> taken) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      dropped_.Increment();
    } else if (pending_.size() >= options_.queue_max) {
      waits_.Increment();
      blocked_.push_back({std::move(record), std::move(taken)});
      wake_.notify_one();
      return;
    } else {
      const bool was_empty = pending_.empty();
      Push(std::move(record));
      if (was_empty || pending_.size() == options_.queue_max / 2) wake_.notify_one();
    }
  }
  if (taken) taken();
}

void SqliteExecutionStore::AfterWritten(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if ((!pending_.empty() || !blocked_.empty() || writing_) && !stopped_) {
      tasks_.push_back(std::move(task));
      wake_.notify_one();
      return;
    }
  }
  task();
}

void SqliteExecutionStore::Get(const std::string& space, const std::string& id, GetDone done) {
  AfterWritten([this, space, id, done = std::move(done)] {
    auto found = std::make_shared<absl::StatusOr<ExecutionRecord>>(absl::UnknownError(""));
    readers_->ReadAsync(
        [found, space, id](sqlite::Connection& db) {
          *found = SelectExecution(db, space, id);
          return absl::OkStatus();
        },
        [found, done](const absl::Status& status) {
          done(status.ok() ? std::move(*found) : absl::StatusOr<ExecutionRecord>(status));
        });
  });
}

void SqliteExecutionStore::List(const ExecutionQuery& query, ListDone done) {
  AfterWritten([this, query, done = std::move(done)] {
    using Result = absl::StatusOr<std::vector<ExecutionRecord>>;
    auto found = std::make_shared<Result>(absl::UnknownError(""));
    readers_->ReadAsync(
        [found, query](sqlite::Connection& db) {
          *found = SelectExecutions(db, query);
          return absl::OkStatus();
        },
        [found, done](const absl::Status& status) {
          done(status.ok() ? std::move(*found) : Result(status));
        });
  });
}

bool SqliteExecutionStore::TakeBatch(std::deque<ExecutionRecord>* batch, std::vector<Task>* tasks,
                                     std::deque<Blocked>* blocked) {
  std::unique_lock lock(mutex_);
  writing_ = false;
  const auto is_urgent = [this] {
    return stopping_ || !tasks_.empty() || !blocked_.empty() ||
           pending_.size() >= options_.queue_max / 2;
  };
  wake_.wait_for(lock, deleted_last_ > 0 ? kRetentionCatchUp : kRetentionInterval,
                 [&] { return is_urgent() || !pending_.empty(); });
  if (!pending_.empty()) wake_.wait_for(lock, options_.write_interval, is_urgent);
  batch->swap(pending_);
  tasks->swap(tasks_);
  blocked->swap(blocked_);
  for (Blocked& waiter : *blocked) Push(std::move(waiter.record));
  writing_ = true;
  return !(stopping_ && batch->empty() && tasks->empty() && blocked->empty());
}

void SqliteExecutionStore::Run() {
  pthread_setname_np(pthread_self(), "exec-records");
  std::deque<ExecutionRecord> batch;
  std::vector<Task> tasks;
  std::deque<Blocked> blocked;
  while (TakeBatch(&batch, &tasks, &blocked)) {
    for (const Blocked& waiter : blocked) {
      if (waiter.taken) waiter.taken();
    }
    // Woken for a read alone, there is nothing to write, and retention can wait.
    if (!batch.empty() || tasks.empty()) WriteBatch(batch);
    // Tasks that came with blocked records wait for the next batch, which holds those.
    if (!blocked.empty() && !tasks.empty()) {
      const std::lock_guard lock(mutex_);
      tasks_.insert(tasks_.begin(), std::make_move_iterator(tasks.begin()),
                    std::make_move_iterator(tasks.end()));
      tasks.clear();
    }
    for (const Task& task : tasks) task();
    batch.clear();
    tasks.clear();
    blocked.clear();
  }
}

void SqliteExecutionStore::WriteBatch(const std::deque<ExecutionRecord>& batch) {
  std::int64_t deleted = 0;
  Pacer pacer(batch.size() <= kPacedRecordsMax);
  const absl::Status status = writer_->InTransaction([&]() -> absl::Status {
    for (const ExecutionRecord& record : batch) {
      RETURN_IF_ERROR(InsertExecution(*writer_, record));
      pacer.Step();
    }
    const auto slice =
        std::max<std::int64_t>(kRetentionSliceMin, 2 * static_cast<std::int64_t>(batch.size()));
    const RetentionLimits limits = {clock_.Wall() - options_.retention_age,
                                    options_.retention_count, options_.retention_bytes};
    for (std::int64_t step = 1; step > 0 && deleted < slice; deleted += step) {
      ASSIGN_OR_RETURN(step, DeleteOldExecutions(*writer_, limits, kRetentionStep));
      pacer.Step();
    }
    return absl::OkStatus();
  });
  if (status.ok()) {
    written_.Increment(batch.size());
  } else {
    dropped_.Increment(batch.size());
    static log::Every limit(std::chrono::seconds(10));
    log::Error(limit, "execution records could not be written",
               {{"records", batch.size()}, {"error", status}});
  }
  const std::lock_guard lock(mutex_);
  deleted_total_ += deleted;
  deleted_last_ = deleted;
}

std::int64_t SqliteExecutionStore::deleted() const {
  const std::lock_guard lock(mutex_);
  return deleted_total_;
}

void SqliteExecutionStore::Stop() {
  const std::lock_guard stop(stop_mutex_);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::vector<Task> late;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    late.swap(tasks_);
  }
  for (const Task& task : late) task();
  // Ends reads that wait, and refuses later ones.
  readers_->Stop();
}

}  // namespace penstock::executor
