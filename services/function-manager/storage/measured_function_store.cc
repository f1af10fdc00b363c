#include "services/function-manager/storage/measured_function_store.h"

#include <chrono>
#include <utility>

namespace penstock::functions {

MeasuredFunctionStore::MeasuredFunctionStore(FunctionStore& store, const Clock& clock,
                                             metrics::Registry& registry)
    : store_(store),
      clock_(clock),
      durations_(registry.HistogramFamily("penstock_functions_store_duration_seconds",
                                          "From the call of the function store to its answer.",
                                          {"operation"})),
      reads_(durations_.With({"read"})),
      writes_(durations_.With({"write"})) {}

FunctionStore::Done MeasuredFunctionStore::Measured(metrics::Histogram& histogram,
                                                    Done done) const {
  return [this, &histogram, started = clock_.Monotonic(),
          done = std::move(done)](absl::Status status) {
    histogram.Observe(std::chrono::duration<double>(clock_.Monotonic() - started).count());
    done(std::move(status));
  };
}

void MeasuredFunctionStore::Read(ReadJob job, Done done) {
  store_.Read(std::move(job), Measured(reads_, std::move(done)));
}

void MeasuredFunctionStore::Write(WriteJob job, Done done) {
  store_.Write(std::move(job), Measured(writes_, std::move(done)));
}

}  // namespace penstock::functions
