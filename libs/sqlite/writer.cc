#include "libs/sqlite/writer.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <future>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"
#include "libs/sqlite/errors.h"

namespace penstock::sqlite {
namespace {

absl::Status RolledBack() {
  return WithReason(
      absl::UnavailableError("database: the transaction was rolled back by the failure of another "
                             "write in it; nothing was stored"),
      kReasonStorage);
}

// A callback that throws must not end the writer thread, and has nobody else to tell.
void RunDone(const Writer::Done& done, absl::Status status) {
  if (!done) return;
  try {
    done(std::move(status));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a database write's callback threw: %s\n", error.what());
  }
}

}  // namespace

Writer::Writer(std::unique_ptr<Connection> connection, Options options)
    : options_(std::move(options)),
      connection_(std::move(connection)),
      thread_([this] { Run(); }) {}

Writer::~Writer() { Stop(); }

void Writer::Write(Job job, Done done) {
  absl::Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = absl::UnavailableError("database: the writer is stopped");
    } else if (items_.size() >= options_.queue_max) {
      refused = absl::ResourceExhaustedError("database: the write queue is full");
    } else {
      items_.push_back({std::move(job), std::move(done), absl::OkStatus()});
    }
  }
  if (refused.ok()) {
    wake_.notify_one();
  } else {
    RunDone(done, std::move(refused));
  }
}

absl::Status Writer::WriteAndWait(Job job) {
  AssertMayBlock("sqlite write");
  if (std::this_thread::get_id() == thread_.get_id()) {
    return absl::FailedPreconditionError("database: the writer thread cannot wait for itself");
  }
  std::promise<absl::Status> promise;
  Write(std::move(job), [&promise](absl::Status status) { promise.set_value(std::move(status)); });
  return promise.get_future().get();
}

void Writer::Stop() {
  AssertMayBlock("sqlite writer stop");
  const std::lock_guard stop_lock(stop_mutex_);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  connection_.reset();
}

std::size_t Writer::queued() const {
  const std::lock_guard lock(mutex_);
  return items_.size();
}

std::uint64_t Writer::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

std::uint64_t Writer::jobs_committed() const {
  const std::lock_guard lock(mutex_);
  return jobs_committed_;
}

void Writer::Run() {
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  std::vector<Item> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (items_.empty()) return;
      const std::size_t count = std::min(items_.size(), options_.batch_max);
      for (std::size_t i = 0; i < count; ++i) {
        batch.push_back(std::move(items_.front()));
        items_.pop_front();
      }
    }
    RunBatch(batch);
    for (Item& item : batch) RunDone(item.done, std::move(item.result));
    batch.clear();
  }
}

absl::Status Writer::Begin() {
  RETURN_IF_ERROR(connection_->Run("BEGIN IMMEDIATE"));
  if (!options_.guard) return absl::OkStatus();
  absl::Status status = options_.guard(*connection_);
  if (!status.ok()) connection_->Run("ROLLBACK").IgnoreError();
  return status;
}

void Writer::RunBatch(std::vector<Item>& batch) {
  std::size_t next = 0;
  while (next < batch.size()) {
    const std::size_t first = next;
    absl::Status status = Begin();
    if (!status.ok()) {
      for (; next < batch.size(); ++next) batch[next].result = status;
      return;
    }
    // A full disk can end the whole transaction; the jobs after that go into a new one.
    while (next < batch.size() && connection_->in_transaction()) {
      batch[next].result = RunJob(batch[next]);
      ++next;
    }
    status = connection_->in_transaction() ? connection_->Run("COMMIT") : RolledBack();
    if (!status.ok() && connection_->in_transaction()) connection_->Run("ROLLBACK").IgnoreError();
    std::uint64_t committed = 0;
    for (std::size_t i = first; i < next; ++i) {
      if (!batch[i].result.ok()) continue;
      batch[i].result = status;
      if (status.ok()) ++committed;
    }
    const std::lock_guard lock(mutex_);
    if (status.ok()) ++commits_;
    jobs_committed_ += committed;
  }
}

absl::Status Writer::RunJob(Item& item) {
  RETURN_IF_ERROR(connection_->Run("SAVEPOINT job"));
  absl::Status status;
  try {
    status = item.job(*connection_);
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  item.job = nullptr;
  if (!connection_->in_transaction()) return status.ok() ? RolledBack() : status;
  if (!status.ok()) connection_->Run("ROLLBACK TO job").IgnoreError();
  const absl::Status released = connection_->Run("RELEASE job");
  return status.ok() ? released : status;
}

}  // namespace penstock::sqlite
