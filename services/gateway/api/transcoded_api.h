// The REST forms of the services' RPCs, after their google.api.http rules.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/transcode/route_table.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/call_options.h"
#include "services/gateway/api/function_calls.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_metadata.h"
#include "services/gateway/api/transcoded_call.h"
#include "services/gateway/api/transcoding_proxy.h"
#include "services/gateway/domain/revision_memory.h"
#include "services/gateway/domain/route_book.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {

struct TranscodedApiOptions {
  // Of a call that is not a stream.
  std::chrono::milliseconds timeout{30'000};
  // How long the answer to a change of a route waits for this gateway to have it.
  std::chrono::milliseconds routes_wait_max{2'000};
  HeaderRules headers;
};

// Serves /api and the reads of /events. Thread-safe.
class TranscodedApi {
 public:
  // What it works with; must outlive it.
  struct Deps {
    Backends& backends;
    const CallOptionsMaker& call_options;
    const FunctionCalls& functions;
    const WebGuard& guard;
    RevisionMemory& revisions;
    RouteBook& routes;
    // Null: this program transcodes itself.
    const TranscodingProxy* proxy = nullptr;
  };
  using Options = TranscodedApiOptions;

  // Serves the rules of all public services. INTERNAL when their routes are not linked in.
  static absl::StatusOr<std::unique_ptr<TranscodedApi>> Create(const Deps& deps, Options options);

  const std::shared_ptr<const transcode::RouteTable>& table() const { return table_; }

  // Answers the request, whatever it is: 404 for an unknown path, 405 for an unknown method.
  void Handle(const std::shared_ptr<HttpCall>& call) const;

 private:
  TranscodedApi(const Deps& deps, Options options, transcode::RouteTable table)
      : deps_(deps),
        options_(std::move(options)),
        table_(std::make_shared<const transcode::RouteTable>(std::move(table))) {}

  // False when the request is not for a pull subscription's events.
  bool Pull(const std::shared_ptr<HttpCall>& call) const;
  // What a call has beside its message.
  absl::StatusOr<rpc::CallOptions> OptionsFor(HttpCall& call, const transcode::Route& route) const;
  // Leaves a call to the other transcoder; false where that is not for it.
  bool PassOn(const std::shared_ptr<HttpCall>& call, const transcode::Route& route) const;
  void Call(const std::shared_ptr<HttpCall>& call, const transcode::Route& route,
            std::vector<std::unique_ptr<google::protobuf::Message>> requests) const;
  // `deleted` is the subscription that the call deleted; else empty.
  void Finish(const std::shared_ptr<HttpCall>& call, const std::string& deleted,
              OneAnswer answer) const;

  const Deps deps_;
  const Options options_;
  const std::shared_ptr<const transcode::RouteTable> table_;
};

}  // namespace penstock::gateway
