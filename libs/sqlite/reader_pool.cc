#include "libs/sqlite/reader_pool.h"

#include <cstdio>
#include <exception>
#include <utility>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::sqlite {
namespace {

absl::Status Stopped() { return absl::UnavailableError("database: the readers are stopped"); }

void RunDone(const ReaderPool::Done& done, absl::Status status) {
  if (!done) return;
  try {
    done(std::move(status));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a database read's callback threw: %s\n", error.what());
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(OpenOptions open, Options options) {
  open.read_only = true;
  std::vector<std::unique_ptr<Connection>> connections;
  for (std::size_t i = 0; i < options.connections; ++i) {
    ASSIGN_OR_RETURN(auto connection, Connection::Open(open));
    connections.push_back(std::move(connection));
  }
  return std::unique_ptr<ReaderPool>(new ReaderPool(std::move(connections), options));
}

ReaderPool::ReaderPool(std::vector<std::unique_ptr<Connection>> connections, const Options& options)
    : free_(std::move(connections)),
      workers_(
          {.name = options.name, .threads = options.connections, .queue_max = options.queue_max}) {}

ReaderPool::~ReaderPool() { Stop(); }

absl::Status ReaderPool::Read(const Job& job) {
  AssertMayBlock("sqlite read");
  std::unique_ptr<Connection> connection;
  {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return closed_ || !free_.empty(); });
    if (closed_) return Stopped();
    connection = std::move(free_.back());
    free_.pop_back();
    ++in_use_;
  }
  absl::Status status = ReadOn(*connection, job);
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(connection));
    --in_use_;
  }
  returned_.notify_all();
  return status;
}

absl::Status ReaderPool::ReadOn(Connection& connection, const Job& job) {
  RETURN_IF_ERROR(connection.Run("BEGIN"));
  absl::Status status;
  try {
    status = job(connection);
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  if (!connection.in_transaction()) return status;
  const absl::Status ended = connection.Run("COMMIT");
  return status.ok() ? ended : status;
}

void ReaderPool::ReadAsync(Job job, Done done) {
  // Shared, because a refused job is dropped by the pool and `done` must still run.
  auto shared_done = std::make_shared<Done>(std::move(done));
  const bool queued = workers_.TryPost(
      [this, job = std::move(job), shared_done] { RunDone(*shared_done, Read(job)); });
  if (queued) return;
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    stopping = stopping_;
  }
  RunDone(*shared_done, stopping
                            ? Stopped()
                            : absl::ResourceExhaustedError("database: too many reads are waiting"));
}

void ReaderPool::Stop() {
  AssertMayBlock("sqlite reader stop");
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  workers_.Stop();
  std::unique_lock lock(mutex_);
  closed_ = true;
  returned_.notify_all();
  returned_.wait(lock, [this] { return in_use_ == 0; });
  free_.clear();
}

}  // namespace penstock::sqlite
