// Tells the function-manager which functions are held: at the start, and whenever it is in doubt.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

// What it is given must outlive it.
class Reconciler {
 public:
  Reconciler(const SubscriptionCatalog& catalog, FunctionReferences& references);
  ~Reconciler();

 private:
  // Shared with the callbacks, which may come after the end.
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    bool answered = false;
    bool succeeded = false;
  };

  void Run();
  void Reconcile();

  const SubscriptionCatalog& catalog_;
  FunctionReferences& references_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

}  // namespace penstock::broker
