// One call of a web client.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "services/gateway/api/grpc_targets.h"
#include "services/gateway/api/http_call.h"
#include "services/gateway/api/web_answer.h"
#include "services/gateway/api/web_codec.h"
#include "services/gateway/api/web_upstream.h"

namespace penstock::gateway {

struct WebCallOrder {
  std::shared_ptr<HttpCall> call;
  WebForm form;
  MethodTypes types;
  UpstreamRequest request;
  // Where the call goes: one of both.
  const GrpcTarget* target = nullptr;
  UserMethod service;
};

// Makes the call and answers it as `form` says, as fast as the client reads. It ends with its
// deadline, when the client goes away, and, if it is a stream, when the gateway drains. On the
// call's loop.
void StartWebCall(WebCallOrder order);

}  // namespace penstock::gateway
