// Measures another store.
#pragma once

#include "libs/base/time.h"
#include "libs/metrics/metrics.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// Passes every call on to `store` and records how long it took from the call to its `done`, waiting
// included. Thread-safe. All three must outlive it and its calls.
class MeasuredFunctionStore final : public FunctionStore {
 public:
  MeasuredFunctionStore(FunctionStore& store, const Clock& clock, metrics::Registry& registry);

  void Read(ReadJob job, Done done) override;
  void Write(WriteJob job, Done done) override;
  void SetListener(Listener listener) override { store_.SetListener(std::move(listener)); }
  std::int64_t Count() const override { return store_.Count(); }
  void Stop() override { store_.Stop(); }

 private:
  // Calls `done` after recording the time since now in `histogram`.
  Done Measured(metrics::Histogram& histogram, Done done) const;

  FunctionStore& store_;
  const Clock& clock_;
  metrics::Family<metrics::Histogram>& durations_;
  metrics::Histogram& reads_;
  metrics::Histogram& writes_;
};

}  // namespace penstock::functions
