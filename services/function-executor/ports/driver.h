// How the executor reaches a kind of back end.
#pragma once

#include <functional>
#include <memory>

#include "services/function-executor/domain/invocation.h"

namespace penstock::executor {

// Runs invocations on one kind of back end.
// Thread-safe. Start() never blocks: it may be called on a gRPC callback thread.
class Driver {
 public:
  // A call in flight. Dropping it does not cancel. Thread-safe.
  class Call {
   public:
    virtual ~Call() = default;
    // Gives the call up: `done` is then called with an error of type "Cancelled" unless it was
    // already.
    virtual void Cancel() = 0;
  };

  using Done = std::function<void(Outcome)>;

  virtual ~Driver() = default;

  // Starts `invocation` and calls `done` exactly once, on any thread, possibly before Start
  // returns, at the latest a moment after the deadline.
  virtual std::shared_ptr<Call> Start(Invocation invocation, Done done) = 0;

  // The function was deleted or replaced: what is kept for `uid` below `version` may go.
  virtual void Forget(const std::string& uid, std::int64_t version) = 0;

  // Ends what runs; `done` of each call in flight is called. Idempotent, blocks until everything
  // ended.
  virtual void Stop() = 0;
};

}  // namespace penstock::executor
