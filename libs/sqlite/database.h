// A database file with its writer and its readers: what a store normally needs.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/sqlite/connection.h"
#include "libs/sqlite/reader_pool.h"
#include "libs/sqlite/writer.h"

namespace penstock::sqlite {

// Owns one Writer and one ReaderPool on the same file. Thread-safe.
class Database {
 public:
  struct Options {
    OpenOptions open;
    Schema schema;
    Writer::Options writer;
    ReaderPool::Options readers;
  };

  // Opens, migrates, and starts the threads.
  static absl::StatusOr<std::unique_ptr<Database>> Open(Options options);

  // Stops as Stop() does.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Writer& writer() { return *writer_; }
  ReaderPool& readers() { return *readers_; }

  // Copies the database to a new file; see Connection::Backup. Blocks.
  absl::Status Backup(const std::string& target_path);

  // Runs what is queued, stops the threads, closes the file. Idempotent.
  void Stop();

 private:
  Database() = default;

  OpenOptions open_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<ReaderPool> readers_;
};

}  // namespace penstock::sqlite
