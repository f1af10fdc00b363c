// Follows the log's head for one client.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include "libs/base/worker_pool.h"
#include "libs/rpc/server_stream.h"
#include "services/event-broker/api/append_request.h"

namespace penstock::broker {

// Serves TailEvents. Reads happen on `readers`. Everything given must outlive the server.
grpc::ServerWriteReactor<penstock::events::v1::StoredEvent>* ServeTail(
    grpc::CallbackServerContext* context, const penstock::events::v1::TailEventsRequest* request,
    EventLog& log, const PublishRules& rules, WorkerPool& readers);

}  // namespace penstock::broker
