// The kinds of middleware that there are, and chains made of them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/function-executor/domain/invocation.h"
#include "services/function-executor/domain/middleware/chain.h"
#include "services/function-executor/domain/middleware/middleware.h"
#include "services/function-executor/domain/middleware/settings.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

// State that outlives the chain that made it, as long as a chain that asks for the same is there:
// it goes with the last. Thread-safe.
class StatePool {
 public:
  template <typename T>
  std::shared_ptr<T> Get(const std::string& key) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<void>& place = states_[key];
    auto state = std::static_pointer_cast<T>(place.lock());
    if (state == nullptr) {
      state = std::make_shared<T>();
      place = state;
      Sweep();
    }
    return state;
  }

  // Those that are in use.
  std::size_t size() const;

 private:
  // Drops the names of what is gone, now and then. Needs the lock.
  void Sweep();

  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<void>> states_;
  std::size_t sweep_at_ = 64;
};

// Where in which chain a middleware is made, and what it may use. Valid while it is made; the two
// references and what State gives live longer than all calls.
struct StepContext {
  // Whose state it is.
  enum class Scope {
    kVersion,   // Each version of the function has its own.
    kFunction,  // It stays with the function over its versions.
    kSpace,     // For a step of a space: one for all its functions. Else as kFunction.
  };

  const std::string& kind;
  const FunctionSpec& function;
  bool is_of_space = false;
  std::size_t ordinal = 0;  // Among the steps of this kind in its list.
  Timers& timers;
  const Clock& clock;
  const std::function<double()>& random;  // From 0 to below 1; for spreading waits.
  StatePool& states;

  // What steps of this kind, at this place, share; `T` is the kind's own.
  template <typename T>
  std::shared_ptr<T> State(Scope scope) const {
    return states.Get<T>(StateKey(scope));
  }

 private:
  std::string StateKey(Scope scope) const;
};

// Makes a middleware from its settings. An error becomes a step that refuses each call with it.
using MiddlewareFactory = std::function<absl::StatusOr<std::shared_ptr<const Middleware>>(
    StepSettings& settings, const StepContext& context)>;

// The registration of kinds, and the maker of chains. Add everything first; Build is thread-safe
// after that. `timers` and `clock` must outlive it and all calls.
class MiddlewareCatalog {
 public:
  MiddlewareCatalog(Timers& timers, const Clock& clock, std::function<double()> random)
      : timers_(timers), clock_(clock), random_(std::move(random)) {}

  // `kind` is the name of the field in `penstock.functions.v1.Middleware`, such as "rate_limit".
  void Add(std::string kind, MiddlewareFactory factory);

  // The steps of the space, then the function's. Null when there are none. A kind that is not
  // registered becomes a step that refuses each call: none is left out.
  std::shared_ptr<const Chain> Build(const std::vector<StepSpec>& of_space,
                                     const FunctionSpec& function);

  std::size_t states() const { return states_.size(); }

 private:
  void AddLinks(const std::vector<StepSpec>& steps, bool is_of_space, const FunctionSpec& function,
                std::vector<Chain::Link>* links);

  Timers& timers_;
  const Clock& clock_;
  const std::function<double()> random_;
  std::unordered_map<std::string, MiddlewareFactory> factories_;
  StatePool states_;
};

// Registers those that need nothing but the domain.
void AddBuiltinMiddleware(MiddlewareCatalog* catalog);

}  // namespace penstock::executor
