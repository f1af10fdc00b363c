// Pull consumers over gRPC: the Subscribe stream, and one pull without a stream.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include "libs/rpc/bidi_server.h"
#include "libs/rpc/server_unary.h"
#include "services/event-broker/ports/pull_consumers.h"

namespace penstock::broker {

// Serves a stream. `consumers` must outlive the server.
grpc::ServerBidiReactor<penstock::events::v1::SubscribeRequest,
                        penstock::events::v1::SubscribeResponse>*
ServeSubscribe(grpc::CallbackServerContext* context, PullConsumers& consumers);

// Answers with what comes first, within the wait that is asked for. `answer` and `call` are valid
// until `done` was called.
void ServePull(const penstock::events::v1::PullEventsRequest& request,
               penstock::events::v1::PullEventsResponse* answer, rpc::CallContext& call,
               const rpc::ServerDone& done, PullConsumers& consumers);

}  // namespace penstock::broker
