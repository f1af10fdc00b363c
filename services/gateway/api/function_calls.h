// Calls functions on behalf of HTTP requests.
#pragma once

#include <penstock/executions/v1/executor.pb.h>

#include <chrono>
#include <memory>
#include <string>

#include "services/gateway/api/backends.h"
#include "services/gateway/api/call_options.h"
#include "services/gateway/api/http_call.h"

namespace penstock::gateway {

// Thread-safe. `backends` and `options` must outlive it.
class FunctionCalls {
 public:
  // `timeout` limits every call, and so does a request's `Grpc-Timeout`; the functions' own
  // timeouts are shorter.
  FunctionCalls(Backends& backends, const CallOptionsMaker& options,
                std::chrono::milliseconds timeout)
      : backends_(backends), options_(options), timeout_(timeout) {}

  // Calls the function that `request` names and answers `call` with what it gives. On the call's
  // loop. Never tried again: the function may have run.
  void Call(const std::shared_ptr<HttpCall>& call, executions::v1::InvokeRequest request) const;

  // POST /_invoke and its like: the function is named by the header Function-ID or the query's
  // functionId, the space by the header Space or the query's space; the payload is the body.
  void CallByHeader(const std::shared_ptr<HttpCall>& call) const;

 private:
  Backends& backends_;
  const CallOptionsMaker& options_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace penstock::gateway
