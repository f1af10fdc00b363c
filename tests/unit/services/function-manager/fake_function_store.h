// A store in memory that keeps the port's promises.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// Runs every job, and its `done`, before the call returns. Thread-safe; jobs must not call the
// store.
class FakeFunctionStore final : public FunctionStore {
 public:
  explicit FakeFunctionStore(std::int64_t first_revision = 1000,
                             std::size_t deletions_kept = 10'000);

  void Read(ReadJob job, Done done) override;
  void Write(WriteJob job, Done done) override;
  void SetListener(Listener listener) override { listener_ = std::move(listener); }
  std::int64_t Count() const override;
  void Stop() override;

  // All that is stored. Public for the session in the .cc file alone.
  struct State {
    std::int64_t revision = 0;
    std::int64_t resumable_from = 0;
    std::map<FunctionName, Function> functions;
    std::map<std::string, std::map<std::int64_t, Function>> versions;  // By uid, then version.
    std::vector<Function> deletions;
    std::set<Hold> holds;
    std::map<SecretName, Secret> secrets;
    std::map<SecretName, std::map<std::string, SecretValue>> secret_values;  // By key.
    std::map<std::string, SpaceMiddleware> space_middleware;
  };

 private:
  const std::size_t deletions_kept_;
  mutable std::mutex mutex_;
  State state_;
  bool stopped_ = false;
  Listener listener_;
};

}  // namespace penstock::functions
