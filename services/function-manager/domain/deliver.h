// How rules answer: a job leaves its result, and the caller gets it when the store is done.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// Gives `done` what a job left in `result`, or the error that the store answered.
template <typename Result>
FunctionStore::Done DeliverResult(std::shared_ptr<Result> result,
                                  std::function<void(absl::StatusOr<Result>)> done) {
  return [result = std::move(result), done = std::move(done)](absl::Status status) {
    if (status.ok()) {
      done(std::move(*result));
    } else {
      done(std::move(status));
    }
  };
}

}  // namespace penstock::functions
