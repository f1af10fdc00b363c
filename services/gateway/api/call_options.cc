#include "services/gateway/api/call_options.h"

#include <algorithm>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"

namespace penstock::gateway {

absl::StatusOr<rpc::CallOptions> CallOptionsMaker::For(HttpCall& call,
                                                       std::string_view space) const {
  rpc::CallOptions options;
  ASSIGN_OR_RETURN(const auto echoed,
                   ParseRevisions(call.request.headers.Get("Penstock-Revision")));
  for (std::string& revision : revisions_.For(space, echoed)) {
    options.metadata.emplace_back(rpc::kMinRevisionKey, std::move(revision));
  }
  if (const auto traceparent = TraceparentOf(call.request.headers); !traceparent.empty()) {
    options.metadata.emplace_back(rpc::kTraceparentKey, std::string(traceparent));
  }
  if (!call.principal.empty()) {
    options.metadata.emplace_back(rpc::kPrincipalKey, call.principal);
    options.peer_auth = peer_auth_;
  }
  options.cancellation = call.cancellation();
  return options;
}

std::string_view TraceparentOf(const http::Headers& headers) {
  constexpr std::size_t kSize = 55;
  const std::string_view value = headers.Get("traceparent");
  if (value.size() != kSize) return {};
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool is_dash = i == 2 || i == 35 || i == 52;
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (is_dash ? c != '-' : !is_hex) return {};
  }
  return value;
}

std::string_view SpaceInName(std::string_view name) {
  constexpr std::string_view kPrefix = "spaces/";
  const std::size_t begin = name.find(kPrefix);
  if (begin == std::string_view::npos) return {};
  name.remove_prefix(begin + kPrefix.size());
  return name.substr(0, name.find_first_of("/:"));
}

}  // namespace penstock::gateway
