// The control plane's gRPC face.
#pragma once

#include <penstock/events/v1/catalog_service.grpc.pb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "libs/base/worker_pool.h"
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
  // The consumers of one pull subscription.
  struct Consumers {
    int count = 0;
    std::int64_t credit = 0;  // Events that they may still be sent.
  };
  struct Ports {
    SubscriptionCatalog& catalog;
    StateStore& store;
    DeliveryControl& delivery;
    EventLog& log;
    WorkerPool& readers;  // For what may block.
    const Clock& clock;
    // The consumers of the subscription with this uid; null where nothing is pulled. Must not
    // block.
    std::function<Consumers(const std::string& uid)> consumers;
  };

  // The caller's principal is believed only next to a token that `auth` accepts.
  EventCatalogApi(Ports ports, PublishRules rules, std::shared_ptr<const rpc::PeerAuth> auth)
      : ports_(std::move(ports)), rules_(std::move(rules)), auth_(std::move(auth)) {}

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
  PENSTOCK_RPC(DrainSubscription, DrainSubscriptionRequest, penstock::events::v1::Subscription)
  PENSTOCK_RPC(GetSubscriptionStatus, GetSubscriptionStatusRequest,
               penstock::events::v1::SubscriptionStatus)
  PENSTOCK_RPC(ReplaySubscription, ReplaySubscriptionRequest,
               penstock::events::v1::ReplaySubscriptionResponse)
  PENSTOCK_RPC(ListReplays, ListReplaysRequest, penstock::events::v1::ListReplaysResponse)
  PENSTOCK_RPC(GetReplay, GetReplayRequest, penstock::events::v1::Replay)
  PENSTOCK_RPC(PauseReplay, PauseReplayRequest, penstock::events::v1::Replay)
  PENSTOCK_RPC(ResumeReplay, ResumeReplayRequest, penstock::events::v1::Replay)
  PENSTOCK_RPC(CancelReplay, CancelReplayRequest, penstock::events::v1::Replay)
  PENSTOCK_RPC(ListDeadLetters, ListDeadLettersRequest,
               penstock::events::v1::ListDeadLettersResponse)
  PENSTOCK_RPC(GetDeadLetter, GetDeadLetterRequest, penstock::events::v1::DeadLetter)
  PENSTOCK_RPC(UpdateDeadLetter, UpdateDeadLetterRequest, penstock::events::v1::DeadLetter)
  PENSTOCK_RPC(RedriveDeadLetters, RedriveDeadLettersRequest,
               penstock::events::v1::RedriveDeadLettersResponse)
  PENSTOCK_RPC(PurgeDeadLetters, PurgeDeadLettersRequest,
               penstock::events::v1::PurgeDeadLettersResponse)
  PENSTOCK_RPC(TestFilter, TestFilterRequest, penstock::events::v1::TestFilterResponse)
  PENSTOCK_RPC(ListSpaces, ListSpacesRequest, penstock::events::v1::ListSpacesResponse)
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
  // Runs `work`, which may block, on a reader's thread; refuses when too much waits there.
  void Read(const rpc::ServerDone& done, std::function<void()> work);
  // The subscription of a name, which must not be one to a path.
  absl::StatusOr<Subscription> Deliverable(const std::string& name) const;

  using Steer = void (SubscriptionCatalog::*)(const std::string&, const std::string&,
                                              SubscriptionCatalog::Done);
  void SteerSubscription(Steer steer, const std::string& name, rpc::CallContext& context,
                         penstock::events::v1::Subscription* response, const rpc::ServerDone& done);
  // The keys of events that fail, as the subscription's events have them. May block.
  std::vector<std::string> KeysOf(const Subscription& subscription,
                                  const std::vector<Sequence>& sequences) const;

  struct ReplayName {
    std::string subscription;  // Its name.
    std::string uid;
    std::string replay;
  };
  absl::StatusOr<ReplayName> ReplayOf(const std::string& name) const;
  void StartReplay(const penstock::events::v1::ReplaySubscriptionRequest& request,
                   const Subscription& subscription,
                   penstock::events::v1::ReplaySubscriptionResponse* response,
                   const rpc::ServerDone& done);
  void SetReplayState(const std::string& name, ReplayState state,
                      penstock::events::v1::Replay* response, const rpc::ServerDone& done);

  struct Sweep;
  void SweepOn(std::shared_ptr<Sweep> sweep);
  // A page whose events fit into one message.
  void ListLetters(DeadLetterQuery query, std::function<void(absl::StatusOr<DeadLetterPage>)> done);
  void FindLetter(const std::string& field, const std::string& name,
                  std::function<void(absl::StatusOr<StoredDeadLetter>)> done);
  void EditLetter(const StoredDeadLetter& letter,
                  const penstock::events::v1::UpdateDeadLetterRequest& request,
                  penstock::events::v1::DeadLetter* response, const rpc::ServerDone& done);

  const Ports ports_;
  const PublishRules rules_;
  const std::shared_ptr<const rpc::PeerAuth> auth_;
};

}  // namespace penstock::broker
