#include "services/event-broker/api/event_catalog_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/subscription_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

// Which fields an update changes: the mask's, or all that are set.
std::set<std::string> PathsOf(const pb::UpdateSubscriptionRequest& request) {
  if (request.has_update_mask() && request.update_mask().paths_size() > 0) {
    return {request.update_mask().paths().begin(), request.update_mask().paths().end()};
  }
  return PathsSet(request.subscription());
}

// Whether `held` is `function`, or a version or alias of it.
bool IsOf(std::string_view function, std::string_view held) {
  return held.starts_with(function) &&
         (held.size() == function.size() || held[function.size()] == '@');
}

}  // namespace

absl::StatusOr<std::string> EventCatalogApi::SpaceOf(const std::string& parent) const {
  ASSIGN_OR_RETURN(const std::string space, ParseSpaceParent("parent", parent));
  return rules_.ResolveSpace(space);
}

absl::StatusOr<std::pair<std::string, std::string>> EventCatalogApi::NameOf(
    const std::string& field, const std::string& name) const {
  ASSIGN_OR_RETURN(ResourceName parsed, ParseResourceName(field, "subscriptions", name));
  RETURN_IF_ERROR(rules_.ResolveSpace(parsed.space).status());
  return std::pair{std::move(parsed.space), std::move(parsed.id)};
}

std::string EventCatalogApi::PrincipalOf(const rpc::CallContext& context) const {
  return auth_->Check(context).ok() ? std::string(context.principal()) : std::string();
}

SubscriptionCatalog::Done EventCatalogApi::Answer(rpc::CallContext& context, rpc::ServerDone done,
                                                  pb::Subscription* response) {
  return [&context, done = std::move(done),
          response](const absl::StatusOr<SubscriptionCatalog::Changed>& changed) {
    if (!changed.ok()) return done(changed.status());
    context.set_revision(fmt::format("event-broker:{}", changed->catalog_revision));
    if (response != nullptr) *response = ToProto(changed->subscription);
    done(absl::OkStatus());
  };
}

grpc::ServerUnaryReactor* EventCatalogApi::CreateSubscription(
    grpc::CallbackServerContext* context, const pb::CreateSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::CreateSubscriptionRequest& given, pb::Subscription* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const auto space = SpaceOf(given.parent());
        if (!space.ok()) return done(space.status());
        if (const auto id = CheckResourceId("subscriptionId", given.subscription_id()); !id.ok()) {
          return done(id);
        }
        if (given.subscription_id().starts_with(kOwnIdPrefix)) {
          return done(
              FieldError("subscriptionId", "ids that begin with \"penstock.\" are reserved"));
        }
        if (!given.has_subscription()) return done(FieldError("subscription", "must be set"));
        auto subscription = FromProto(given.subscription(), *space);
        if (!subscription.ok()) return done(subscription.status());
        subscription->id = given.subscription_id();
        subscription->creator = PrincipalOf(call);
        ports_.catalog.Create({*std::move(subscription), given.validate_only(), given.adopt_uid()},
                              Answer(call, done, answer));
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::GetSubscription(
    grpc::CallbackServerContext* context, const pb::GetSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::GetSubscriptionRequest& given, pb::Subscription* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           const auto name = NameOf("name", given.name());
                           if (!name.ok()) return done(name.status());
                           const auto found = ports_.catalog.Get(name->first, name->second);
                           if (found.ok()) *answer = ToProto(*found);
                           done(found.status());
                         });
}

grpc::ServerUnaryReactor* EventCatalogApi::ListSubscriptions(
    grpc::CallbackServerContext* context, const pb::ListSubscriptionsRequest* request,
    pb::ListSubscriptionsResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListSubscriptionsRequest& given, pb::ListSubscriptionsResponse* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const auto list = [&]() -> absl::Status {
          ASSIGN_OR_RETURN(const std::string space, SpaceOf(given.parent()));
          ASSIGN_OR_RETURN(const std::size_t page_size, CheckPageSize(given.page_size()));
          pb::ListSubscriptionsRequest description = given;
          description.clear_page_token();
          description.clear_page_size();
          const std::string query = description.ShortDebugString();
          ASSIGN_OR_RETURN(const std::string after, ParsePageToken(query, given.page_token()));
          std::string function;
          if (!given.function().empty()) {
            ASSIGN_OR_RETURN(
                function, ParseTaggedReference("function", "functions", space, given.function()));
          }
          const std::string creator = given.creator() == "me" ? PrincipalOf(call) : given.creator();
          const auto found = ports_.catalog.List(
              space, after, page_size + 1, [&](const Subscription& subscription) {
                // Those of invocations are to be asked for by name.
                if (subscription.purpose() != LanePurpose::kEvents) return false;
                for (const auto& [key, value] : given.metadata()) {
                  const auto at = subscription.metadata.find(key);
                  if (at == subscription.metadata.end() || at->second != value) return false;
                }
                const auto held = subscription.FunctionsHeld();
                const bool has_function =
                    function.empty() ||
                    std::any_of(held.begin(), held.end(), [&function](const std::string& other) {
                      return IsOf(function, other);
                    });
                return has_function &&
                       (given.event_type().empty() ||
                        subscription.event_type == given.event_type()) &&
                       (given.creator().empty() || subscription.creator == creator);
              });
          for (std::size_t i = 0; i < std::min(found.size(), page_size); ++i) {
            *answer->add_subscriptions() = ToProto(found[i]);
          }
          if (found.size() > page_size) {
            answer->set_next_page_token(MakePageToken(query, found[page_size - 1].id));
          }
          return absl::OkStatus();
        };
        done(list());
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::UpdateSubscription(
    grpc::CallbackServerContext* context, const pb::UpdateSubscriptionRequest* request,
    pb::Subscription* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::UpdateSubscriptionRequest& given, pb::Subscription* answer,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const auto name = NameOf("subscription.name", given.subscription().name());
        if (!name.ok()) return done(name.status());
        const bool missing =
            absl::IsNotFound(ports_.catalog.Get(name->first, name->second).status());
        if (name->second.starts_with(kOwnIdPrefix)) {
          return done(absl::FailedPreconditionError(
              "the subscription belongs to a function: change the function's `async` instead"));
        }
        if (missing && given.allow_missing()) {
          auto created = FromProto(given.subscription(), name->first);
          if (!created.ok()) return done(created.status());
          created->id = name->second;
          created->creator = PrincipalOf(call);
          return ports_.catalog.Create({*std::move(created), given.validate_only(), ""},
                                       Answer(call, done, answer));
        }
        SubscriptionCatalog::UpdateRequest update{
            name->first, name->second, given.subscription().etag(), given.validate_only(), nullptr};
        update.edit = [&given](Subscription& current) {
          return ApplyUpdate(PathsOf(given), given.subscription(), current);
        };
        ports_.catalog.Update(std::move(update), Answer(call, done, answer));
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::DeleteSubscription(
    grpc::CallbackServerContext* context, const pb::DeleteSubscriptionRequest* request,
    google::protobuf::Empty* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::DeleteSubscriptionRequest& given, google::protobuf::Empty*,
             rpc::CallContext& call, const rpc::ServerDone& done) {
        const auto name = NameOf("name", given.name());
        if (!name.ok()) return done(name.status());
        ports_.catalog.Delete(
            {name->first, name->second, given.etag(), given.force()},
            [answer = Answer(call, done, nullptr), done, missing_is_fine = given.allow_missing()](
                absl::StatusOr<SubscriptionCatalog::Changed> changed) {
              if (missing_is_fine && absl::IsNotFound(changed.status())) {
                return done(absl::OkStatus());
              }
              answer(std::move(changed));
            });
      });
}

}  // namespace penstock::broker
