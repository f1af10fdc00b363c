// One PublishStream: events in as they come, receipts out as they become durable.
#pragma once

#include <penstock/events/v1/broker.pb.h>

#include "libs/rpc/bidi_server.h"
#include "services/event-broker/api/append_request.h"
#include "services/event-broker/api/schedule_intake.h"

namespace penstock::broker {

using PublishStreamServer = rpc::BidiServer<penstock::events::v1::PublishStreamRequest,
                                            penstock::events::v1::PublishStreamResponse>;

// Serves a stream. Everything given must outlive the server.
PublishStreamServer::Handlers ServePublishStream(std::shared_ptr<PublishStreamServer> stream,
                                                 EventLog& log, ScheduleIntake& schedule,
                                                 const PublishRules& rules, const Clock& clock);

}  // namespace penstock::broker
