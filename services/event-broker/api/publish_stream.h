// One PublishStream: events in as they come, receipts out as they become durable.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include "libs/rpc/bidi_server.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/api/schedule_intake.h"

namespace penstock::broker {

// Serves a stream. Everything given must outlive the server.
grpc::ServerBidiReactor<penstock::events::v1::PublishStreamRequest,
                        penstock::events::v1::PublishStreamResponse>*
ServePublishStream(grpc::CallbackServerContext* context, EventLog& log, ScheduleIntake& schedule,
                   const PublishRules& rules, const Clock& clock);

}  // namespace penstock::broker
