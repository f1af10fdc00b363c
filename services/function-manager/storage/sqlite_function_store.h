// Functions in one SQLite file.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "libs/sqlite/database.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// The store on SQLite: writes go through its single writer, with synchronous=FULL, so that what was
// answered survives a loss of power; reads have connections of their own.
class SqliteFunctionStore final : public FunctionStore {
 public:
  struct Options {
    std::string path;
    // How many deletions a watcher may be behind before it needs a snapshot.
    std::int64_t deletions_kept = 10'000;
  };

  // Opens or creates the file; `clock` gives the first revision of a new one, and is used only
  // here.
  static absl::StatusOr<std::unique_ptr<SqliteFunctionStore>> Open(Options options,
                                                                   const Clock& clock);
  ~SqliteFunctionStore() override;

  void Read(ReadJob job, Done done) override;
  void Write(WriteJob job, Done done) override;
  void SetListener(Listener listener) override;
  std::int64_t Count() const override { return count_.load(); }
  void Stop() override;

 private:
  explicit SqliteFunctionStore(Options options) : options_(std::move(options)) {}
  absl::Status Init(const Clock& clock);

  const Options options_;
  std::unique_ptr<sqlite::Database> database_;
  std::atomic<std::int64_t> count_{0};
  Listener listener_;  // Read on the writer's thread.
};

}  // namespace penstock::functions
