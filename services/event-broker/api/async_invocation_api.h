// What executors ask of the broker for asynchronous invocations.
#pragma once

#include <penstock/internal/v1/async_invocation_service.grpc.pb.h>

#include <memory>
#include <utility>

#include "libs/rpc/peer_auth.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/domain/catalog/invocation_lanes.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/ports/dead_letter_store.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"

namespace penstock::broker {

// Serves AsyncInvocationService to callers with the peer token. Thread-safe; all that it is given
// must outlive the server.
class AsyncInvocationApi final
    : public penstock::internal::v1::AsyncInvocationService::CallbackService {
 public:
  struct Ports {
    SubscriptionCatalog& catalog;
    EventLog& log;
    DeliveryControl& delivery;
    DeadLetterStore& dead_letters;
  };

  AsyncInvocationApi(Ports ports, PublishRules rules, std::shared_ptr<const rpc::PeerAuth> auth)
      : ports_(ports), rules_(std::move(rules)), auth_(std::move(auth)), lanes_(ports.catalog) {}

  grpc::ServerUnaryReactor* EnqueueInvocation(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::EnqueueInvocationRequest* request,
      penstock::internal::v1::EnqueueInvocationResponse* response) override;
  grpc::ServerUnaryReactor* FindInvocation(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::FindInvocationRequest* request,
      penstock::internal::v1::FindInvocationResponse* response) override;
  grpc::ServerUnaryReactor* CancelInvocation(
      grpc::CallbackServerContext* context,
      const penstock::internal::v1::CancelInvocationRequest* request,
      penstock::internal::v1::CancelInvocationResponse* response) override;

 private:
  // A delivery of an invocation, and the subscription that it is of.
  struct Target {
    DeliveryKey key;
    Subscription subscription;
    bool is_duplicate = false;  // Of an append: it was there already.
  };

  absl::StatusOr<Target> TargetOf(const std::string& space, const std::string& delivery_id) const;
  void Append(AppendRequest request, const std::string& function,
              std::function<void(absl::StatusOr<Target>)> done);

  const Ports ports_;
  const PublishRules rules_;
  const std::shared_ptr<const rpc::PeerAuth> auth_;
  InvocationLanes lanes_;
};

}  // namespace penstock::broker
