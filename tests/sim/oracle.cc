// What is stored and what matches: promises 1, 2 and 4.
#include "tests/sim/oracle.h"

#include <algorithm>
#include <functional>

#include "services/event-broker/ports/delivery_control.h"
#include "tests/sim/events.h"

namespace penstock::broker::sim {
namespace {

std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

void Oracle::OnReceipt(const std::string& space, const std::string& id,
                       const AppendResult& result) {
  world_.Note("receipt {} {} {}", id, static_cast<int>(result.verdict), result.sequence);
  if (result.verdict == AppendVerdict::kFailed) return;
  if (result.sequence == kNoSequence) {
    duplicates_.emplace(space, id);
    return;
  }
  acknowledged_[result.sequence] = id;
  const auto [at, first] = ids_.emplace(std::pair(space, id), result.sequence);
  if (!first && at->second != result.sequence && !(forgets_.ids && epoch_ > 1)) {
    world_.Violation("P2: event {} was taken twice: {} and {}", id, at->second, result.sequence);
  }
}

void Oracle::ReadLog(EventLog& log) {
  while (read_to_ < log.head()) {
    const auto scanned = log.Scan({.from = std::max(read_to_ + 1, log.horizon())});
    if (!scanned.ok()) {
      return world_.Violation("P1: the log cannot be read: {}",
                              std::string(scanned.status().message()));
    }
    for (const EventRecord& record : scanned->records) TakeRecord(record);
    read_to_ = scanned->next - 1;
  }
}

void Oracle::TakeRecord(const EventRecord& stored) {
  Record& record = records_[stored.sequence];
  record.control = stored.kind == RecordKind::kControl;
  record.body_hash = HashOf(stored.body);
  if (record.control) {
    const auto control = ControlRecord::Parse(stored.body);
    const Subscription& revision = revisions_.at({control->uid, control->match_revision});
    Place place{stored.sequence, control->match_revision,
                ends_.contains({control->uid, control->match_revision})};
    std::vector<Place>& places = places_[control->uid];
    if (places.empty() && revision.start.resolved != kNoSequence) {
      place.from = std::min(place.from, revision.start.resolved);
    }
    // A broker that died between writing it and noting that wrote it again.
    const auto same = std::find_if(places.begin(), places.end(), [&](const Place& other) {
      return other.revision == place.revision;
    });
    if (same == places.end()) {
      places.push_back(place);
    } else {
      ambiguous_[control->uid].push_back({same->from, stored.sequence});
    }
    return;
  }
  record.space = stored.space;
  record.type = stored.type;
  record.source = stored.source;
  record.id = stored.id;
  record.key = stored.ordering_key;
  record.color = ColorOf(stored.body);
  record.expires = HasExpiry(stored.body);
  record.poison = IsPoison(stored.body);
  if (record.source.ends_with("/deadLetters")) {
    const std::size_t dash = record.id.rfind('-');
    at({record.id.substr(0, dash), std::stoull(record.id.substr(dash + 1))}).sunk = true;
  }
  const bool checks_ids = !(forgets_.ids && epoch_ > 1);
  if (record.source == "/sim" && checks_ids && world_.violation().empty()) {
    const auto [at, first] = ids_.emplace(std::pair(record.space, record.id), stored.sequence);
    if (!first && at->second != stored.sequence) {
      world_.Violation("P2: event {} is stored twice: {} and {}", record.id, at->second,
                       stored.sequence);
    }
  }
}

void Oracle::CheckLog(EventLog& log) {
  std::map<Sequence, std::uint64_t> stored;
  for (Sequence from = log.horizon(); from <= log.head();) {
    const auto scanned = log.Scan({.from = from});
    if (!scanned.ok()) {
      return world_.Violation("P1: the log cannot be read: {}",
                              std::string(scanned.status().message()));
    }
    for (const EventRecord& record : scanned->records) {
      stored[record.sequence] = HashOf(record.body);
    }
    from = scanned->next;
  }
  for (auto at = records_.lower_bound(log.horizon()); at != records_.end(); ++at) {
    const auto found = stored.find(at->first);
    if (found == stored.end() || found->second != at->second.body_hash) {
      return world_.Violation("P1: record {} was durable and is lost", at->first);
    }
  }
  for (auto at = acknowledged_.lower_bound(log.horizon()); at != acknowledged_.end(); ++at) {
    if (!stored.contains(at->first)) {
      return world_.Violation("P1: event {} was acknowledged as {} and is lost", at->second,
                              at->first);
    }
  }
  ReadLog(log);
  for (const auto& id : duplicates_) {
    if (!ids_.contains(id)) {
      return world_.Violation("P2: event {} was called a duplicate and is lost", id.second);
    }
  }
}

void Oracle::OnRevision(const Subscription& subscription, bool deleted) {
  revisions_[{subscription.uid, subscription.match_revision}] = subscription;
  if (deleted) {
    deleted_.insert(subscription.uid);
    GiveUp(subscription.uid);
    ends_.emplace(subscription.uid, subscription.match_revision);
    std::erase_if(replays_,
                  [&](const auto& entry) { return entry.second.uid == subscription.uid; });
  } else {
    live_[subscription.uid] = subscription;
  }
}

void Oracle::OnRedrive(const DeliveryKey& key) {
  Delivery& delivery = at(key);
  delivery.redriven = true;
  ++redriven_[key.uid];
  delivery.series.clear();
}

const Oracle::Delivery* Oracle::find(const DeliveryKey& key) const {
  const auto found = deliveries_.find(key);
  return found == deliveries_.end() ? nullptr : &found->second;
}

const Oracle::Record* Oracle::FindRecord(Sequence sequence) const {
  const auto found = records_.find(sequence);
  return found == records_.end() ? nullptr : &found->second;
}

const Subscription* Oracle::FindLive(std::string_view lane) const {
  const auto found = live_.find(std::string(SubscriptionOfLane(lane)));
  return found == live_.end() ? nullptr : &found->second;
}

// Types end with a star or do not; filters ask for one color.
bool Oracle::Matches(const Subscription& subscription, const Record& record) const {
  if (record.control || record.space != subscription.space) return false;
  const std::string& wanted = subscription.event_type;
  const bool type = wanted.ends_with('*')
                        ? record.type.starts_with(wanted.substr(0, wanted.size() - 1))
                        : record.type == wanted;
  if (!type) return false;
  return subscription.filters.empty() ||
         subscription.filters.front().attributes.front().second == record.color;
}

const Subscription* Oracle::InForce(const std::string& uid, Sequence sequence) const {
  const auto places = places_.find(uid);
  if (places == places_.end()) return nullptr;
  const Place* in_force = nullptr;
  for (const Place& place : places->second) {
    if (place.from <= sequence) in_force = &place;
  }
  if (in_force == nullptr || in_force->deleted) return nullptr;
  return &revisions_.at({uid, in_force->revision});
}

bool Oracle::IsDone(const Subscription& subscription, const Delivery& delivery) const {
  if (subscription.pull) return delivery.succeeded.contains("pull");
  const bool all =
      !subscription.group || subscription.group->strategy == SubscriberGroup::Strategy::kSequence;
  const std::vector<std::string> targets = subscription.Targets();
  const auto reached = [&](const std::string& function) {
    return delivery.succeeded.contains(subscription.FunctionName(function));
  };
  return all ? std::all_of(targets.begin(), targets.end(), reached)
             : std::any_of(targets.begin(), targets.end(), reached);
}

bool Oracle::HasEnded(const DeliveryKey& key) const {
  if (IsIn(skipped_, key.uid, key.sequence)) return true;
  const Delivery* delivery = find(key);
  if (delivery == nullptr) return false;
  if (delivery->dead || delivery->given_up || delivery->purged || delivery->sunk) return true;
  const Subscription* subscription = FindLive(key.uid);
  return subscription != nullptr && IsDone(*subscription, *delivery);
}

bool Oracle::IsIn(const std::map<std::string, std::vector<Range>>& ranges, const std::string& name,
                  Sequence sequence) {
  const auto found = ranges.find(name);
  return found != ranges.end() &&
         std::any_of(found->second.begin(), found->second.end(), [&](const Range& range) {
           return range.from <= sequence && sequence <= range.to;
         });
}

bool Oracle::IsAmbiguous(const std::string& uid, Sequence sequence) const {
  return IsIn(ambiguous_, uid, sequence);
}

std::string Oracle::UnfinishedIn(const std::string& lane, const Subscription& subscription,
                                 Range range, const StoredState& state,
                                 const std::set<std::string>& keys_out) const {
  const std::string uid(SubscriptionOfLane(lane));
  const bool replay = lane != uid;
  for (auto entry = records_.lower_bound(range.from);
       entry != records_.end() && entry->first <= range.to; ++entry) {
    const Subscription* revision = replay ? &subscription : InForce(uid, entry->first);
    if (revision == nullptr || !Matches(*revision, entry->second)) continue;
    if (keys_out.contains(entry->second.key) || IsAmbiguous(uid, entry->first)) continue;
    const DeliveryKey key{lane, entry->first};
    const Delivery* delivery = find(key);
    if (state.dead.contains(key) || IsIn(skipped_, lane, entry->first)) continue;
    if (delivery == nullptr) return fmt::format("{} matched and was never sent", key.Id());
    if (delivery->purged || delivery->sunk) continue;
    if (!IsDone(subscription, *delivery)) {
      return fmt::format("{} was neither delivered nor is it a dead letter", key.Id());
    }
    if (!delivery->replied) continue;
    const bool published = std::any_of(records_.begin(), records_.end(), [&](const auto& other) {
      return other.second.id == key.Id() + "/reply";
    });
    if (!published) return fmt::format("the answer to {} was not published", key.Id());
  }
  return "";
}

std::string Oracle::Unfinished(const StoredState& state) const {
  for (const auto& [uid, subscription] : live_) {
    if (deleted_.contains(uid) || !places_.contains(uid)) continue;
    std::string reason = UnfinishedIn(uid, subscription, {}, state, {});
    if (!reason.empty()) return reason;
  }
  for (const auto& [lane, replay] : replays_) {
    const auto stored = state.replays.find(lane);
    if (stored == state.replays.end()) continue;
    if (stored->second.state == ReplayState::kCancelled) continue;
    if (stored->second.state != ReplayState::kDone) {
      return fmt::format("replay {} has not ended", lane);
    }
    std::string reason =
        UnfinishedIn(lane, live_.at(replay.uid), {replay.from, replay.to}, state, {});
    if (!reason.empty()) return reason;
  }
  return "";
}

std::string Oracle::UnfinishedBesidesPoison(const StoredState& state,
                                            const std::set<std::string>& full) const {
  for (const auto& [uid, subscription] : live_) {
    if (full.contains(uid)) continue;
    if (deleted_.contains(uid) || !places_.contains(uid) || !subscription.ordering) continue;
    std::set<std::string> poisoned = {""};
    for (const auto& [sequence, record] : records_) {
      if (record.poison) poisoned.insert(record.key);
    }
    std::string reason = UnfinishedIn(uid, subscription, {}, state, poisoned);
    if (!reason.empty()) return reason;
  }
  return "";
}

void Oracle::CheckEnd(const StoredState& state) const {
  const std::string reason = Unfinished(state);
  if (!reason.empty()) world_.Violation("P4: {}", reason);
  for (const auto& [key, delivery] : deliveries_) {
    if (!delivery.called || key.uid.find('.') != std::string::npos) continue;
    const Record* record = FindRecord(key.sequence);
    const Subscription* revision = InForce(key.uid, key.sequence);
    if (IsAmbiguous(key.uid, key.sequence)) continue;
    if (record == nullptr || revision == nullptr || !Matches(*revision, *record)) {
      return world_.Violation("P4: {} was sent and does not match", key.Id());
    }
  }
  for (const auto& [key, letter] : state.dead) {
    const Subscription* subscription = FindLive(key.uid);
    if (forgets_.events) continue;
    if (letter.delivery.reason == DeadReason::kRetention) {
      return world_.Violation("P4: {} left the log before it was delivered", key.Id());
    }
    if (subscription == nullptr || letter.event.empty()) {
      return world_.Violation("P4: the dead letter {} has no event", key.Id());
    }
    const bool expires = subscription->time_to_live || FindRecord(key.sequence)->expires;
    if (letter.delivery.reason == DeadReason::kExpired && !expires) {
      return world_.Violation("P4: {} expired without a limit", key.Id());
    }
    if (letter.delivery.reason == DeadReason::kAttemptsExhausted && letter.delivery.attempts < 1) {
      return world_.Violation("P4: {} was given up without an attempt", key.Id());
    }
  }
}

}  // namespace penstock::broker::sim
