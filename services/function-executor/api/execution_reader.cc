#include "services/function-executor/api/execution_reader.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

namespace penstock::executor {

void ExecutionReader::Get(const std::string& space, const std::string& id,
                          ExecutionStore::GetDone done) const {
  if (auto running = invoker_.FindRunning(space, id)) return done(*std::move(running));
  store_.Get(space, id, std::move(done));
}

void ExecutionReader::List(const ExecutionQuery& query, ExecutionStore::ListDone done) const {
  // Running first: what ends meanwhile is in the store by the time that it is asked.
  auto running = std::make_shared<std::vector<ExecutionRecord>>(invoker_.ListRunning(query));
  store_.List(query, [running, limit = query.limit,
                      done = std::move(done)](absl::StatusOr<std::vector<ExecutionRecord>> stored) {
    if (!stored.ok() || running->empty()) return done(std::move(stored));
    std::unordered_set<std::string> known;
    for (const ExecutionRecord& record : *stored) known.insert(record.id);
    for (ExecutionRecord& record : *running) {
      if (!known.contains(record.id)) stored->push_back(std::move(record));
    }
    std::sort(stored->begin(), stored->end(),
              [](const ExecutionRecord& a, const ExecutionRecord& b) {
                return PositionOf(a) > PositionOf(b);
              });
    if (stored->size() > limit) stored->resize(limit);
    done(std::move(stored));
  });
}

}  // namespace penstock::executor
