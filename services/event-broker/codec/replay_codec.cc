#include "services/event-broker/codec/replay_codec.h"

#include <fmt/format.h>

#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

pb::Replay::State ToProto(ReplayState state) {
  switch (state) {
    case ReplayState::kRunning: return pb::Replay::RUNNING;
    case ReplayState::kPaused: return pb::Replay::PAUSED;
    case ReplayState::kDone: return pb::Replay::DONE;
    case ReplayState::kCancelled: return pb::Replay::CANCELLED;
  }
  return pb::Replay::STATE_UNSPECIFIED;
}

}  // namespace

pb::Replay ToProto(const StoredReplay& replay, const std::string& subscription) {
  pb::Replay message;
  message.set_name(fmt::format("{}/replays/{}", subscription, replay.replay));
  message.set_state(ToProto(replay.state));
  message.set_from_sequence(static_cast<std::int64_t>(replay.from));
  message.set_to_sequence(static_cast<std::int64_t>(replay.to));
  message.set_rate_per_second(replay.rate_per_second);
  message.set_floor_sequence(static_cast<std::int64_t>(replay.progress.floor));
  message.set_matched_count(static_cast<std::int64_t>(replay.progress.matched));
  message.set_delivered_count(static_cast<std::int64_t>(replay.progress.delivered));
  message.set_dead_letter_count(static_cast<std::int64_t>(replay.progress.dead));
  SetTimestamp(replay.create_time, message.mutable_create_time());
  if (replay.end_time) SetTimestamp(*replay.end_time, message.mutable_end_time());
  return message;
}

}  // namespace penstock::broker
