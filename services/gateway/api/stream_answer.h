// A server-streaming RPC as an HTTP answer that does not end: JSON lines, or server-sent events.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <memory>

#include "libs/rpc/call_options.h"
#include "libs/transcode/route_table.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/http_call.h"

namespace penstock::gateway {

// What a stream is made of.
struct StreamOrder {
  std::shared_ptr<HttpCall> call;
  const transcode::Route* route = nullptr;
  std::unique_ptr<google::protobuf::Message> request;
  rpc::CallOptions options;
  Backend backend{};
};

// Calls `order.route` and passes its messages on one by one, as fast as the client reads. An error
// before the first message is the answer; a later one is the last line (`{"error": …}`, or an SSE
// event named `error`). Server-sent events when the request accepts text/event-stream, else
// application/x-ndjson. On the call's loop. `backends` must outlive the call.
void AnswerWithStream(const std::shared_ptr<grpc::Channel>& channel, StreamOrder order,
                      const Backends& backends);

}  // namespace penstock::gateway
