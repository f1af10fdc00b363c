// Records in memory.
#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "services/function-executor/ports/execution_store.h"

namespace penstock::executor {

// Thread-safe. Callbacks run inside the calls.
class FakeExecutionStore final : public ExecutionStore {
 public:
  void Append(ExecutionRecord record, std::function<void()> taken) override {
    {
      const std::lock_guard lock(mutex_);
      if (hold_back) {
        held.push_back(std::move(taken));
        records.push_back(std::move(record));
        return;
      }
      records.push_back(std::move(record));
    }
    if (taken) taken();
  }

  void Get(const std::string& space, const std::string& id, GetDone done) override {
    absl::StatusOr<ExecutionRecord> found = absl::NotFoundError("no such execution");
    {
      const std::lock_guard lock(mutex_);
      for (const ExecutionRecord& record : records) {
        if (record.id == id && record.space == space) found = record;
      }
    }
    done(std::move(found));
  }

  void List(const ExecutionQuery& query, ListDone done) override {
    std::vector<ExecutionRecord> found;
    {
      const std::lock_guard lock(mutex_);
      std::copy_if(records.begin(), records.end(), std::back_inserter(found),
                   [&](const ExecutionRecord& record) { return Matches(record, query); });
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return PositionOf(a) > PositionOf(b); });
    if (found.size() > query.limit) found.resize(query.limit);
    done(std::move(found));
  }

  void Stop() override {}

  bool hold_back = false;  // `taken` is kept in `held`.
  std::vector<std::function<void()>> held;
  std::vector<ExecutionRecord> records;

 private:
  std::mutex mutex_;
};

}  // namespace penstock::executor
