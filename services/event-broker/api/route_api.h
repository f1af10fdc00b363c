// What gateways watch.
#pragma once

#include <penstock/internal/v1/routes_service.grpc.pb.h>

#include <memory>

#include "libs/rpc/peer_auth.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

// Serves RouteService to callers with the peer token. Thread-safe.
class RouteApi final : public penstock::internal::v1::RouteService::CallbackService {
 public:
  RouteApi(SubscriptionCatalog& catalog, std::shared_ptr<const rpc::PeerAuth> auth)
      : catalog_(catalog), auth_(std::move(auth)) {}

  grpc::ServerWriteReactor<penstock::internal::v1::WatchRoutesResponse>* WatchRoutes(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::WatchRoutesRequest* request) override;

 private:
  SubscriptionCatalog& catalog_;
  const std::shared_ptr<const rpc::PeerAuth> auth_;
};

}  // namespace penstock::broker
