// Keeps the registry up to date from the function-manager.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/time.h"
#include "libs/rpc/peer_auth.h"
#include "services/function-executor/domain/function_registry.h"
#include "services/function-executor/ports/timers.h"

namespace penstock::executor {

struct FunctionWatcherOptions {
  // Of the function-manager: "host:port" or "inproc:function-manager".
  std::string address;
  std::shared_ptr<const rpc::PeerAuth> peer_auth;
  // Is given what the registry is given, before it; may be null. Must not block.
  std::function<void(const std::vector<FunctionUpdate>&, bool is_snapshot)> on_updates;
  // Between the end of a watch and the next: doubled from the first to the second while watches
  // bring nothing.
  Microseconds delay_initial{100'000};
  Microseconds delay_max{1'000'000};
};

// Watches from Start to Stop; a watch that ends begins anew from the revision that the registry
// has, so that nothing is missed, and the registry goes on with what it knows meanwhile.
// Thread-safe. `registry` and `timers` must outlive it.
class FunctionWatcher {
 public:
  using Options = FunctionWatcherOptions;

  FunctionWatcher(Options options, FunctionRegistry& registry, Timers& timers);
  // Stops as Stop() does.
  ~FunctionWatcher();
  FunctionWatcher(const FunctionWatcher&) = delete;
  FunctionWatcher& operator=(const FunctionWatcher&) = delete;

  void Start();

  // True while a watch is open that has brought something.
  bool connected() const;

  // Ends the watch and waits until the registry is no longer touched. Idempotent, blocks.
  void Stop();

 private:
  class Watch;
  const std::shared_ptr<Watch> watch_;
};

}  // namespace penstock::executor
