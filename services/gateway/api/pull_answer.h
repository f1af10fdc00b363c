// A pull subscription's events as server-sent events.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/rpc/call_options.h"
#include "services/gateway/api/backends.h"
#include "services/gateway/api/http_call.h"

namespace penstock::gateway {

// What the query of such a request says.
struct PullChoices {
  // Events that are out with the client at a time.
  std::int32_t credit = 100;
  // An event counts as delivered once it is written to the connection.
  bool auto_ack = true;
};

// The error names the parameter.
absl::StatusOr<PullChoices> ParsePullQuery(std::string_view query);

// One event: `id` is the delivery's, `event` the type, `data` the CloudEvent in JSON.
std::string PullFrame(std::string_view delivery_id, std::string_view type, std::string_view json);

struct PullOrder {
  std::shared_ptr<HttpCall> call;
  std::string subscription;  // Its name.
  PullChoices choices;
  rpc::CallOptions options;
};

// Subscribes at the event-broker behind `channel` and passes on what comes, as fast as the client
// reads. When the client goes, what it has not acknowledged is delivered again. An error before the
// first event is the answer; a later one is an event named `error`. On the call's loop. `backends`
// must outlive the call.
void AnswerWithPull(const std::shared_ptr<grpc::Channel>& channel, PullOrder order,
                    const Backends& backends);

}  // namespace penstock::gateway
