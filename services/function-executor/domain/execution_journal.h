// Keeps records of ended executions, and tells those who follow them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/ports/execution_store.h"

namespace penstock::executor {

// Which executions leave a record.
enum class Recording { kAll, kFailures, kNone };

struct JournalOptions {
  Recording recording = Recording::kAll;
  // Of each body that a record keeps.
  std::size_t body_bytes_max = 8 * 1024;
  // Calls of one function in one second whose bodies are all kept; of those beyond, only failures'.
  int bodies_per_second = 100;
  // Records of calls that middleware refused, of one function in one second: a flood of them would
  // push those of real runs out.
  int refusals_per_second = 10;
};

// Thread-safe. `store` and `clock` must outlive it.
class ExecutionJournal {
 public:
  using Options = JournalOptions;
  // Runs on the thread that ended the execution; must not block.
  using Follower = std::function<void(const std::shared_ptr<const ExecutionRecord>&)>;

  ExecutionJournal(ExecutionStore& store, const Clock& clock, Options options);

  // Takes the record of an execution that ended, and stores it when the options say so, or when
  // `is_awaited`: its caller will ask for it. `input` and `output` are what it was given and
  // answered; `taken` runs as ExecutionStore::Append says.
  void End(ExecutionRecord record, const Bytes& input, const std::string& input_type,
           const Outcome& outcome, bool is_awaited, std::function<void()> taken);

  // Whether a record of a call that middleware refused is to be kept. Counts it.
  bool TakesRefusal(const std::string& space, const std::string& function);

  // Calls `follower` with each record of `space` (and of `function`, unless empty) from now on,
  // until the result dies. It may still be running in another thread then.
  std::shared_ptr<void> Follow(std::string space, std::string function, Follower follower);

  const Options& options() const { return options_; }

 private:
  struct Subscription {
    std::string space;
    std::string function;
    Follower follower;
  };
  // Calls by second. Functions that share a slot share its allowance.
  struct Rate {
    std::int64_t second = 0;
    int calls = 0;
  };
  static constexpr std::size_t kRates = 4096;

  bool Keeps(bool has_failed) const;
  // Counts a call of the function in `rates`.
  bool IsBelowRate(const std::string& space, const std::string& function, int limit,
                   std::vector<Rate>* rates);
  void Tell(const ExecutionRecord& record);

  ExecutionStore& store_;
  const Clock& clock_;
  const Options options_;
  std::mutex rate_mutex_;
  std::vector<Rate> rates_{kRates};
  std::vector<Rate> refusals_{kRates};
  std::mutex followers_mutex_;
  std::vector<std::weak_ptr<const Subscription>> followers_;
};

}  // namespace penstock::executor
