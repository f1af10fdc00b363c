// REST calls that another program transcodes, such as grpc-gateway's reverse proxy.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/http/client.h"
#include "libs/http/event_loops.h"
#include "libs/rpc/call_options.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/http_metadata.h"

namespace penstock::gateway {

// Passes whole requests with JSON bodies on, and their answers back. Thread-safe. `loops` must
// outlive it. Its destructor ends what runs, and must not run on a loop.
class TranscodingProxy {
 public:
  // `url` is "http://host:port".
  static absl::StatusOr<std::unique_ptr<TranscodingProxy>> Create(http::EventLoops& loops,
                                                                  std::string url);

  // Asks the proxy for the request's target with `method`, and answers as it does; 503 naming
  // transcoding.by when it cannot be reached. Of the headers it gets what `options` have, as
  // Grpc-Metadata-*, so that a client has no say in the rest. From the request's loop.
  void Call(const std::shared_ptr<HttpCall>& call, const std::string& method,
            const rpc::CallOptions& options, const HeaderRules& rules) const;

  // As it was given, but for slashes at its end.
  const std::string& url() const { return url_; }

 private:
  TranscodingProxy(std::unique_ptr<http::Client> client, std::string url)
      : client_(std::move(client)), url_(std::move(url)) {}

  const std::unique_ptr<http::Client> client_;
  const std::string url_;
};

}  // namespace penstock::gateway
