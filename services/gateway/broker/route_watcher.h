// Keeps the routes up to date from the event-broker.
#pragma once

#include <memory>

#include "libs/http/event_loops.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "services/gateway/domain/route_book.h"

namespace penstock::gateway {

// Watches from Start to Stop; a watch that ends begins anew, and the book keeps what it has
// meanwhile. Thread-safe. All references must outlive it.
class RouteWatcher {
 public:
  RouteWatcher(rpc::LazyChannel& channel, std::shared_ptr<const rpc::PeerAuth> peer_auth,
               RouteBook& book, http::EventLoops& loops);
  // Stops as Stop() does.
  ~RouteWatcher();
  RouteWatcher(const RouteWatcher&) = delete;
  RouteWatcher& operator=(const RouteWatcher&) = delete;

  void Start();

  // True while a watch is open that has brought something.
  bool connected() const;

  // Ends the watch and waits until the book is no longer touched. Before the loops stop.
  // Idempotent, blocks.
  void Stop();

 private:
  class Watch;
  const std::shared_ptr<Watch> watch_;
};

}  // namespace penstock::gateway
