// The founding configuration API: functions and subscriptions of the default space.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/http/server.h"
#include "services/gateway/api/authenticator.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/call_options.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/domain/revision_memory.h"
#include "services/gateway/domain/route_book.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

// Serves POST and GET /v1/functions and /v1/subscriptions, GET /v1/functions/{id} and DELETE of
// both, on a listener of its own. Errors are {"error": "…"}. Thread-safe.
class LegacyConfigApi {
 public:
  // What it works with; must outlive it.
  struct Deps {
    const CallEnv& env;
    Backends& backends;
    const CallOptionsMaker& call_options;
    const WebGuard& guard;
    const Authenticator& authenticator;
    RevisionMemory& revisions;
    RouteBook& routes;
  };

  explicit LegacyConfigApi(const Deps& deps) : deps_(deps) {}

  // As http::Handler. The request keeps `keeper`, which holds this object, to its end; null where
  // this object outlives all requests.
  void Handle(http::Request request, std::shared_ptr<http::Exchange> exchange,
              std::shared_ptr<const void> keeper) const;

 private:
  using Call = std::shared_ptr<HttpCall>;

  void Dispatch(const Call& call) const;
  void CreateFunction(const Call& call) const;
  void GetFunction(const Call& call, const std::string& id) const;
  void ListFunctions(const Call& call) const;
  void DeleteFunction(const Call& call, const std::string& id) const;
  void CreateSubscription(const Call& call) const;
  void ListSubscriptions(const Call& call) const;
  void DeleteSubscription(const Call& call, const std::string& id) const;

  template <typename Response, typename Request>
  void CallService(const Call& call, std::string_view service, std::string_view method,
                   Request request,
                   std::function<void(const absl::StatusOr<Response>&)> done) const;
  template <typename Request, typename Response>
  void ListPage(const Call& call, std::string_view service, std::string_view method,
                Request request, std::shared_ptr<std::string> out,
                std::function<void(const Response&, std::string*)> append) const;
  // Answers when this gateway serves the broker's revision that the change gave.
  void RespondWithRoutes(const Call& call, http::Response response) const;
  void Fail(const Call& call, const absl::Status& status, const std::string& not_found) const;

  const Deps deps_;
};

}  // namespace penstock::gateway
