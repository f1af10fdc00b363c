// Answers a change of a route only when this gateway serves it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "services/gateway/api/http_call.h"
#include "services/gateway/domain/route_book.h"

namespace penstock::gateway {

// Calls `done` on the call's loop: with true once `book` has `revision`, with false after `limit`.
// The book must outlive the call.
void WaitForRoutes(RouteBook& book, std::int64_t revision, std::chrono::milliseconds limit,
                   const std::shared_ptr<HttpCall>& call, std::function<void(bool reached)> done);

}  // namespace penstock::gateway
