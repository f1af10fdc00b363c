#include "services/function-executor/domain/invoker.h"

#include <utility>

#include "services/function-executor/domain/invoker_run.h"

namespace penstock::executor {

Invoker::Invoker(Parts parts, Options options)
    : parts_(parts), options_(options), gates_(options.queue_max) {}

Invoker::~Invoker() = default;

std::shared_ptr<Invoker::Call> Invoker::Invoke(InvokeOrder order, Done done) {
  auto run = std::make_shared<Run>(*this, std::move(order), std::move(done));
  run->Begin();
  return run;
}

void Invoker::StopAccepting() { accepting_ = false; }

std::size_t Invoker::running() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

std::optional<ExecutionRecord> Invoker::FindRunning(const std::string& space,
                                                    const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(id);
  if (found == running_.end() || found->second->space() != space) return std::nullopt;
  return found->second->Snapshot();
}

std::vector<ExecutionRecord> Invoker::ListRunning(const ExecutionQuery& query) const {
  std::vector<std::shared_ptr<Run>> matching;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, run] : running_) {
      if (run->Matches(query)) matching.push_back(run);
    }
  }
  std::vector<ExecutionRecord> records;
  records.reserve(matching.size());
  for (const auto& run : matching) records.push_back(run->Snapshot());
  return records;
}

bool Invoker::CancelRunning(const std::string& space, const std::string& id) {
  std::shared_ptr<Run> run;
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found == running_.end() || found->second->space() != space) return false;
    run = found->second;
  }
  run->Cancel();
  return true;
}

void Invoker::CancelAll() {
  std::vector<std::shared_ptr<Run>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, run] : running_) all.push_back(run);
  }
  for (const auto& run : all) run->Cancel();
}

Driver* Invoker::DriverOf(const FunctionSpec& function) const {
  if (std::holds_alternative<HttpTarget>(function.target)) return &parts_.drivers.http;
  if (std::holds_alternative<ProcessTarget>(function.target)) return parts_.drivers.process;
  // Weighted ones are never asked for: the registry gives what they chose.
  return &parts_.drivers.noop;
}

void Invoker::Add(const std::string& id, std::shared_ptr<Run> run) {
  const std::lock_guard lock(mutex_);
  running_.emplace(id, std::move(run));
}

void Invoker::Remove(const std::string& id) {
  // The last reference may go with it; that is done without the lock.
  std::shared_ptr<Run> run;
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  run = std::move(found->second);
  running_.erase(found);
}

}  // namespace penstock::executor
