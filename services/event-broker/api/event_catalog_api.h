// The control plane's gRPC face.
#pragma once

#include <penstock/events/v1/catalog_service.grpc.pb.h>

#include <memory>
#include <string>
#include <string_view>

#include "libs/base/time.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_unary.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// Serves EventCatalogService. RPCs that this release does not serve answer UNIMPLEMENTED, naming
// the RPC. Thread-safe. What it is given must outlive the server.
class EventCatalogApi final : public penstock::events::v1::EventCatalogService::CallbackService {
 public:
  struct Ports {
    SubscriptionCatalog& catalog;
    StateStore& store;
    DeliveryControl& delivery;
    EventLog& log;
  };

  // The caller's principal is believed only next to a token that `auth` accepts.
  EventCatalogApi(Ports ports, PublishRules rules, std::shared_ptr<const rpc::PeerAuth> auth)
      : ports_(ports), rules_(std::move(rules)), auth_(std::move(auth)) {}

#define PENSTOCK_RPC(method, Request, Response)                                  \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,         \
                                   const penstock::events::v1::Request* request, \
                                   Response* response) override;
  PENSTOCK_RPC(CreateSubscription, CreateSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(GetSubscription, GetSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(ListSubscriptions, ListSubscriptionsRequest,
               penstock::events::v1::ListSubscriptionsResponse)
  PENSTOCK_RPC(UpdateSubscription, UpdateSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(DeleteSubscription, DeleteSubscriptionRequest, google::protobuf::Empty)
  PENSTOCK_RPC(PauseSubscription, PauseSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(ResumeSubscription, ResumeSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(GetSubscriptionStatus, GetSubscriptionStatusRequest,
               penstock::events::v1::SubscriptionStatus)
  PENSTOCK_RPC(ListDeadLetters, ListDeadLettersRequest,
               penstock::events::v1::ListDeadLettersResponse)
  PENSTOCK_RPC(GetDeadLetter, GetDeadLetterRequest, penstock::events::v1::DeadLetter)
  PENSTOCK_RPC(RedriveDeadLetters, RedriveDeadLettersRequest,
               penstock::events::v1::RedriveDeadLettersResponse)
  PENSTOCK_RPC(PurgeDeadLetters, PurgeDeadLettersRequest,
               penstock::events::v1::PurgeDeadLettersResponse)
#undef PENSTOCK_RPC

// The RPCs that this release refuses.
#define PENSTOCK_REFUSED_RPC(method, Request, Response)                          \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,         \
                                   const penstock::events::v1::Request* request, \
                                   Response* response) override {                \
    return Refuse(context, request, response, #method);                          \
  }
  PENSTOCK_REFUSED_RPC(CreateEventType, CreateEventTypeRequest, penstock::events::v1::EventType)
  PENSTOCK_REFUSED_RPC(GetEventType, GetEventTypeRequest, penstock::events::v1::EventType)
  PENSTOCK_REFUSED_RPC(ListEventTypes, ListEventTypesRequest,
                       penstock::events::v1::ListEventTypesResponse)
  PENSTOCK_REFUSED_RPC(UpdateEventType, UpdateEventTypeRequest, penstock::events::v1::EventType)
  PENSTOCK_REFUSED_RPC(DeleteEventType, DeleteEventTypeRequest, google::protobuf::Empty)
  PENSTOCK_REFUSED_RPC(CreateCorsPolicy, CreateCorsPolicyRequest, penstock::events::v1::CorsPolicy)
  PENSTOCK_REFUSED_RPC(GetCorsPolicy, GetCorsPolicyRequest, penstock::events::v1::CorsPolicy)
  PENSTOCK_REFUSED_RPC(ListCorsPolicies, ListCorsPoliciesRequest,
                       penstock::events::v1::ListCorsPoliciesResponse)
  PENSTOCK_REFUSED_RPC(UpdateCorsPolicy, UpdateCorsPolicyRequest, penstock::events::v1::CorsPolicy)
  PENSTOCK_REFUSED_RPC(DeleteCorsPolicy, DeleteCorsPolicyRequest, google::protobuf::Empty)
  PENSTOCK_REFUSED_RPC(DrainSubscription, DrainSubscriptionRequest,
                       penstock::events::v1::Subscription)
  PENSTOCK_REFUSED_RPC(ReplaySubscription, ReplaySubscriptionRequest,
                       penstock::events::v1::ReplaySubscriptionResponse)
  PENSTOCK_REFUSED_RPC(UpdateDeadLetter, UpdateDeadLetterRequest, penstock::events::v1::DeadLetter)
  PENSTOCK_REFUSED_RPC(TestFilter, TestFilterRequest, penstock::events::v1::TestFilterResponse)
  PENSTOCK_REFUSED_RPC(ListSpaces, ListSpacesRequest, penstock::events::v1::ListSpacesResponse)
#undef PENSTOCK_REFUSED_RPC

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const Request* request,
                                   Response* response, std::string_view rpc) {
    return rpc::ServeUnary(
        context, request, response,
        [rpc](const Request&, Response*, rpc::CallContext&, const rpc::ServerDone& done) {
          done(absl::UnimplementedError(std::string(rpc) + " is not served by this release"));
        });
  }

  absl::StatusOr<std::string> SpaceOf(const std::string& parent) const;
  absl::StatusOr<std::pair<std::string, std::string>> NameOf(const std::string& field,
                                                             const std::string& name) const;
  std::string PrincipalOf(const rpc::CallContext& context) const;
  // Answers a mutation: the revision goes into the trailing metadata.
  static SubscriptionCatalog::Done Answer(rpc::CallContext& context, rpc::ServerDone done,
                                          penstock::events::v1::Subscription* response);
  void SetPaused(const std::string& name, bool paused, rpc::CallContext& context,
                 penstock::events::v1::Subscription* response, const rpc::ServerDone& done);
  // The letters that a redrive or purge names: by ids, by subscription, or all of the space.
  template <typename Request>
  absl::StatusOr<DeadLetterQuery> Select(const Request& request) const;

  const Ports ports_;
  const PublishRules rules_;
  const std::shared_ptr<const rpc::PeerAuth> auth_;
};

}  // namespace penstock::broker
