// Replays between their message and the store.
#pragma once

#include <penstock/events/v1/catalog.pb.h>

#include <string>

#include "services/event-broker/ports/replay_store.h"

namespace penstock::broker {

// `subscription` is the name of the replay's subscription.
penstock::events::v1::Replay ToProto(const StoredReplay& replay, const std::string& subscription);

}  // namespace penstock::broker
