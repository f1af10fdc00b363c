// Who sends next: spaces take turns, and within a space its lanes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>

#include "services/event-broker/domain/delivery/engine_options.h"

namespace penstock::broker {

struct Lane;

// Fresh events and retries each have a queue of their own.
enum class SendClass : std::uint8_t { kFresh, kRetry };
inline constexpr std::size_t kSendClasses = 2;

// A deficit round robin over spaces, then over the lanes of a space, for each class. A space that
// has its share of the capacity in use gets a turn only when none below its share has something to
// send, and none at all at its maximum.
class FairQueue {
 public:
  // Where something is in a round: what it may still send in its turn, in bytes.
  struct Turn {
    bool begun = false;
    std::int64_t deficit = 0;
  };
  struct Space;
  // A lane in the queue. Stays in place while it is joined.
  struct Member {
    Lane* lane = nullptr;
    Space* space = nullptr;
    std::array<Turn, kSendClasses> turns;
    std::array<bool, kSendClasses> queued{};
    std::array<std::list<Member*>::iterator, kSendClasses> at;
  };
  struct Space {
    std::string name;
    std::size_t members = 0;  // Joined ones.
    std::size_t calls = 0;    // Under way.
    std::array<Turn, kSendClasses> turns;
    std::array<std::list<Member*>, kSendClasses> queues;  // Members with something to send.
    std::array<std::size_t, kSendClasses> tiers{};        // The ring that it is in, if any.
    std::array<std::list<Space*>::iterator, kSendClasses> at;
  };

  explicit FairQueue(const EngineOptions& options);

  void Join(Member& member, const std::string& space);
  void Leave(Member& member);
  void SetCapacity(std::size_t slots);

  // The member has something to send, or has not any more.
  void Queue(Member& member, SendClass send_class);
  void Unqueue(Member& member, SendClass send_class);
  // Whose turn it is; null when nobody may send.
  Member* Next(SendClass send_class);
  // It sent this much.
  void Charge(Member& member, SendClass send_class, std::uint64_t bytes);

  void CallBegan(Space& space);
  void CallEnded(Space& space);

 private:
  // Rings of spaces: below their share, between share and maximum, and at their maximum.
  static constexpr std::size_t kTiers = 3;
  using Ring = std::list<Space*>;

  std::size_t TierOf(const Space& space) const;
  void Retier(Space& space);
  bool Begin(Turn& turn) const;
  void ForgetUnused(Space& space);

  const std::int64_t quantum_;
  const double share_;
  const double share_max_;
  std::size_t share_calls_ = 0;
  std::size_t share_max_calls_ = 0;
  std::map<std::string, Space> spaces_;
  std::array<std::array<Ring, kTiers>, kSendClasses> rings_;
};

}  // namespace penstock::broker
