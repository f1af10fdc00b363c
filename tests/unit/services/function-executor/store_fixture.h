// What the tests of record stores share.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/function-executor/ports/execution_store.h"

namespace penstock::executor {

// A folder that goes with this object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline absl::StatusOr<ExecutionRecord> GetNow(ExecutionStore& store, const std::string& space,
                                              const std::string& id) {
  std::promise<absl::StatusOr<ExecutionRecord>> promise;
  store.Get(space, id, [&](auto found) { promise.set_value(std::move(found)); });
  return promise.get_future().get();
}

inline absl::StatusOr<std::vector<ExecutionRecord>> ListNow(ExecutionStore& store,
                                                            const ExecutionQuery& query) {
  std::promise<absl::StatusOr<std::vector<ExecutionRecord>>> promise;
  store.List(query, [&](auto found) { promise.set_value(std::move(found)); });
  return promise.get_future().get();
}

// The ids of what a list gives; "error" when it gives an error.
inline std::vector<std::string> IdsOf(ExecutionStore& store, const ExecutionQuery& query) {
  const auto records = ListNow(store, query);
  if (!records.ok()) return {"error"};
  std::vector<std::string> ids;
  for (const ExecutionRecord& record : *records) ids.push_back(record.id);
  return ids;
}

// A record that differs from others by `number`: id and start rise with it.
inline ExecutionRecord MakeRecord(int number) {
  ExecutionRecord record;
  record.id = "i-" + std::to_string(100'000 + number);
  record.space = "default";
  record.function = "f";
  record.function_version = 1;
  record.state = ExecutionState::kSucceeded;
  record.start = FromUnixMicros(1'700'000'000'000'000 + number);
  record.instance = "i";
  return record;
}

}  // namespace penstock::executor
