#include "services/event-broker/domain/delivery/fair_queue.h"

#include <algorithm>

namespace penstock::broker {
namespace {

// Shares of a capacity that is smaller than this mean nothing.
constexpr std::size_t kSharedCapacityMin = 8;

std::size_t Index(SendClass send_class) { return static_cast<std::size_t>(send_class); }

std::size_t ShareOf(std::size_t slots, double share) {
  if (slots < kSharedCapacityMin) return slots;
  return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(slots) * share));
}

// Its turn is over early: what is left of it is lost, what is owed is not.
void Reset(FairQueue::Turn& turn) {
  turn.begun = false;
  turn.deficit = std::min<std::int64_t>(turn.deficit, 0);
}

}  // namespace

FairQueue::FairQueue(const EngineOptions& options)
    : quantum_(std::max<std::int64_t>(1, options.quantum_bytes)),
      share_(options.space_share),
      share_max_(options.space_share_max) {}

void FairQueue::Join(Member& member, const std::string& space) {
  member.space = &spaces_[space];
  member.space->name = space;
  ++member.space->members;
}

void FairQueue::Leave(Member& member) {
  Unqueue(member, SendClass::kFresh);
  Unqueue(member, SendClass::kRetry);
  Space& space = *member.space;
  member.space = nullptr;
  --space.members;
  ForgetUnused(space);
}

void FairQueue::ForgetUnused(Space& space) {
  if (space.members == 0 && space.calls == 0) spaces_.erase(std::string(space.name));
}

void FairQueue::SetCapacity(std::size_t slots) {
  share_calls_ = ShareOf(slots, share_);
  share_max_calls_ = ShareOf(slots, share_max_);
  for (auto& [name, space] : spaces_) Retier(space);
}

std::size_t FairQueue::TierOf(const Space& space) const {
  if (space.calls < share_calls_) return 0;
  return space.calls < share_max_calls_ ? 1 : 2;
}

void FairQueue::Retier(Space& space) {
  const std::size_t tier = TierOf(space);
  for (std::size_t c = 0; c < kSendClasses; ++c) {
    if (space.queues[c].empty() || space.tiers[c] == tier) continue;
    Ring& to = rings_[c][tier];
    to.splice(to.end(), rings_[c][space.tiers[c]], space.at[c]);
    space.tiers[c] = tier;
  }
}

void FairQueue::Queue(Member& member, SendClass send_class) {
  const std::size_t c = Index(send_class);
  if (member.queued[c]) return;
  Space& space = *member.space;
  if (space.queues[c].empty()) {
    space.tiers[c] = TierOf(space);
    Ring& ring = rings_[c][space.tiers[c]];
    space.at[c] = ring.insert(ring.end(), &space);
  }
  member.at[c] = space.queues[c].insert(space.queues[c].end(), &member);
  member.queued[c] = true;
}

void FairQueue::Unqueue(Member& member, SendClass send_class) {
  const std::size_t c = Index(send_class);
  if (!member.queued[c]) return;
  Space& space = *member.space;
  space.queues[c].erase(member.at[c]);
  member.queued[c] = false;
  Reset(member.turns[c]);
  if (!space.queues[c].empty()) return;
  rings_[c][space.tiers[c]].erase(space.at[c]);
  Reset(space.turns[c]);
}

bool FairQueue::Begin(Turn& turn) const {
  if (!turn.begun) turn.deficit += quantum_;
  turn.begun = turn.deficit > 0;
  return turn.begun;
}

FairQueue::Member* FairQueue::Next(SendClass send_class) {
  const std::size_t c = Index(send_class);
  for (const std::size_t tier : {0, 1}) {
    Ring& ring = rings_[c][tier];
    while (!ring.empty()) {
      Space& space = *ring.front();
      if (!Begin(space.turns[c])) {
        ring.splice(ring.end(), ring, ring.begin());
        continue;
      }
      auto& queue = space.queues[c];
      if (Begin(queue.front()->turns[c])) return queue.front();
      queue.splice(queue.end(), queue, queue.begin());
    }
  }
  return nullptr;
}

void FairQueue::Charge(Member& member, SendClass send_class, std::uint64_t bytes) {
  const std::size_t c = Index(send_class);
  member.turns[c].deficit -= static_cast<std::int64_t>(bytes);
  member.space->turns[c].deficit -= static_cast<std::int64_t>(bytes);
}

void FairQueue::CallBegan(Space& space) {
  ++space.calls;
  Retier(space);
}

void FairQueue::CallEnded(Space& space) {
  --space.calls;
  Retier(space);
  ForgetUnused(space);
}

}  // namespace penstock::broker
