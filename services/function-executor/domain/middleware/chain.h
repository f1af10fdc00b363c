// The steps of a function's version in their order, and calls on their way through them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "services/function-executor/domain/execution.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/domain/middleware/middleware.h"

namespace penstock::executor {

// Made once for each version, never changed.
class Chain {
 public:
  struct Link {
    std::string name;
    bool is_of_space = false;
    std::shared_ptr<const Middleware> middleware;
  };

  explicit Chain(std::vector<Link> links) : links_(std::move(links)) {}

  const std::vector<Link>& links() const { return links_; }
  void ShapeRecord(RecordBodies* bodies) const {
    for (const Link& link : links_) link.middleware->ShapeRecord(bodies);
  }

 private:
  const std::vector<Link> links_;
};

// One call on its way through a chain. Thread-safe.
class ChainRun : public std::enable_shared_from_this<ChainRun> {
 public:
  // Gives the call to the function, perhaps more than once; the second is called with its answer.
  using Drive = std::function<void(Invocation, std::function<void(Outcome)>)>;
  using Done = std::function<void(Outcome)>;

  static constexpr std::size_t kRecordsMax = 64;

  // `clock` must outlive it. `done` runs once.
  ChainRun(std::shared_ptr<const Chain> chain, Invocation call, const Clock& clock, Drive drive,
           Done done);

  void Start();
  // Tells the middleware that holds the call; what goes on after that ends as `Cancelled`.
  void Cancel();
  // What happened so far.
  std::vector<StepRecord> Records() const;

 private:
  friend class Step;

  void Enter(std::size_t place, const Bytes& payload, const std::string& content_type,
             MonotonicTime deadline, std::shared_ptr<Step> outer);
  void CallFunction(const Bytes& payload, const std::string& content_type, MonotonicTime deadline,
                    const std::shared_ptr<Step>& outer);
  void End(Outcome outcome);
  void SetHook(std::function<void()> hook);
  bool is_cancelled() const;

  const std::shared_ptr<const Chain> chain_;
  const Invocation call_;
  const Clock& clock_;
  const Drive drive_;
  Done done_;
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::function<void()> hook_;
  std::vector<StepRecord> records_;
};

}  // namespace penstock::executor
