#include "services/gateway/api/call_options.h"

#include <algorithm>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/rpc/metadata.h"
#include "services/gateway/api/http_metadata.h"

namespace penstock::gateway {

absl::StatusOr<rpc::CallOptions> CallOptionsMaker::For(HttpCall& call,
                                                       std::string_view space) const {
  rpc::CallOptions options;
  ASSIGN_OR_RETURN(const auto echoed,
                   ParseRevisions(call.request.headers.Get("Penstock-Revision")));
  for (std::string& revision : revisions_.For(space, echoed)) {
    options.metadata.emplace_back(rpc::kMinRevisionKey, std::move(revision));
  }
  AddTraceContext(call.request.headers, &options);
  if (!call.principal.empty()) {
    options.metadata.emplace_back(rpc::kPrincipalKey, call.principal);
    options.peer_auth = peer_auth_;
  }
  options.cancellation = call.cancellation();
  return options;
}

std::string_view SpaceInName(std::string_view name) {
  constexpr std::string_view kPrefix = "spaces/";
  const std::size_t begin = name.find(kPrefix);
  if (begin == std::string_view::npos) return {};
  name.remove_prefix(begin + kPrefix.size());
  return name.substr(0, name.find_first_of("/:"));
}

}  // namespace penstock::gateway
