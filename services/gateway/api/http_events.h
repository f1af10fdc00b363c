// Requests to the paths of synchronous subscriptions.
#pragma once

#include <memory>

#include "libs/metrics/metrics.h"
#include "services/gateway/api/function_calls.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/domain/route_book.h"
#include "services/gateway/ports/event_publisher.h"

namespace penstock::gateway {

// Thread-safe. All references must outlive it.
class HttpEvents {
 public:
  HttpEvents(const RouteBook& routes, EventPublisher& publisher, const FunctionCalls& functions)
      : routes_(routes), publisher_(publisher), functions_(functions) {}

  // Answers with the function of the route that the request meets; false, with nothing done, when
  // there is none. Where asynchronous subscriptions want the request, it is published first, as an
  // event of type `http.request`; if that fails the function does not run.
  bool Handle(const std::shared_ptr<HttpCall>& call) const;

 private:
  const RouteBook& routes_;
  EventPublisher& publisher_;
  const FunctionCalls& functions_;
};

}  // namespace penstock::gateway
