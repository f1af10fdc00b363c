// Calls of a store and of the rules on it as tests want them: waiting for the answer.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

inline constexpr std::chrono::seconds kAnswerWithin{10};

// Runs `start(done)` and returns what `done` was given.
template <typename Result, typename Start>
Result Await(const Start& start) {
  auto promise = std::make_shared<std::promise<Result>>();
  auto answer = promise->get_future();
  start([promise](Result result) { promise->set_value(std::move(result)); });
  if (answer.wait_for(kAnswerWithin) != std::future_status::ready) {
    return absl::DeadlineExceededError("no answer");
  }
  return answer.get();
}

inline absl::Status Write(FunctionStore& store, FunctionStore::WriteJob job) {
  return Await<absl::Status>([&](auto done) { store.Write(std::move(job), std::move(done)); });
}

inline absl::Status Read(FunctionStore& store, FunctionStore::ReadJob job) {
  return Await<absl::Status>([&](auto done) { store.Read(std::move(job), std::move(done)); });
}

}  // namespace penstock::functions
