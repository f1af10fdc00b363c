#include "services/gateway/api/cors.h"

#include <string_view>

namespace penstock::gateway {
namespace {

// No credentials of the browser's own are ever allowed, so that a star stands for all names (but
// Authorization). The others are for browsers that know no star.
constexpr std::string_view kRequestHeaders =
    "*, Authorization, Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout, "
    "X-API-Key, X-Grpc-Web, X-User-Agent";
constexpr std::string_view kAnswerHeaders =
    "*, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Penstock-Revision, X-Request-Id";
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
// In seconds: what browsers keep at most.
constexpr std::string_view kMaxAge = "7200";

}  // namespace

void AddCors(const WebGuard& guard, const http::Headers& request, http::Headers* answer) {
  if (!guard.has_origins()) return;
  answer->Add("Vary", "Origin");
  const std::string_view origin = request.Get("Origin");
  if (!guard.AllowsOrigin(origin)) return;
  answer->Set("Access-Control-Allow-Origin", origin);
  answer->Set("Access-Control-Expose-Headers", kAnswerHeaders);
}

bool AnswersPreflight(const WebGuard& guard, const http::Request& request, http::Response* answer) {
  if (request.method != "OPTIONS" || !request.headers.Has("Access-Control-Request-Method") ||
      !guard.AllowsOrigin(request.headers.Get("Origin"))) {
    return false;
  }
  answer->status = 204;
  answer->headers.Set("Access-Control-Allow-Methods", kMethods);
  answer->headers.Set("Access-Control-Allow-Headers", kRequestHeaders);
  answer->headers.Set("Access-Control-Max-Age", kMaxAge);
  return true;
}

}  // namespace penstock::gateway
