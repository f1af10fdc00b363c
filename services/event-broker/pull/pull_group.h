// The consumers of one pull subscription, and what is out with them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "services/event-broker/ports/pull_consumers.h"
#include "services/event-broker/ports/pull_target.h"

namespace penstock::broker {

// For metrics; read from any thread.
struct PullStats {
  std::atomic<std::int64_t> consumers = 0;
  std::atomic<std::int64_t> out = 0;      // With a consumer, or taken by one that has gone.
  std::atomic<std::int64_t> waiting = 0;  // For a consumer with credit.
  std::atomic<std::uint64_t> acknowledged = 0;
  std::atomic<std::uint64_t> rejected = 0;
  std::atomic<std::uint64_t> timed_out = 0;
  std::atomic<std::uint64_t> lost = 0;
  std::atomic<std::uint64_t> late = 0;  // Acknowledgements and the like of what is not out.
};

// One consumer, as its group keeps it.
struct PullMember {
  std::uint64_t id = 0;
  PullConsumers::ConsumerOptions options;
  PullConsumers::ConsumerHandlers handlers;
  bool joined = false;
  std::int64_t credit = 0;
  // Of events that timed out before it took them. Comes back when it takes again, so that one that
  // does not read gets no more than its credit.
  std::int64_t credit_unread = 0;
  std::uint64_t given_last = 0;         // Orders consumers of equal credit.
  std::deque<std::string> outbox;       // Given and not taken; may name what has ended.
  std::unordered_set<std::string> out;  // Given and not ended.
  std::size_t out_bytes = 0;            // Of what it has taken.
  std::optional<MonotonicTime> wait_until;
};
using PullMemberPtr = std::shared_ptr<PullMember>;

// Whom to tell what, after a step.
struct PullNews {
  std::vector<DeliveryResult> results;
  std::set<std::string> credit;  // Uids of subscriptions whose free credit changed.
  std::map<std::uint64_t, PullMemberPtr> ready;
  std::vector<std::pair<PullMemberPtr, absl::Status>> ended;

  bool empty() const { return results.empty() && credit.empty() && ready.empty() && ended.empty(); }
};

// Not thread-safe. Every step appends to `news` what came of it. `stats` must outlive it.
class PullGroup {
 public:
  // How long an order waits for credit before it goes back.
  static constexpr Microseconds kWaitMax{2'000'000};
  // Taken and not acknowledged, of a consumer whose credit renews itself; one event always goes.
  static constexpr std::size_t kRenewingBytesMax = 8u << 20;

  PullGroup(std::string uid, std::string name, PullStats& stats)
      : uid_(std::move(uid)), name_(std::move(name)), stats_(stats) {}
  PullGroup(const PullGroup&) = delete;
  PullGroup& operator=(const PullGroup&) = delete;

  const std::string& uid() const { return uid_; }
  const std::string& name() const { return name_; }
  std::size_t consumers() const { return members_.size(); }
  // Nothing is out or waits, and nobody has joined.
  bool idle() const { return members_.empty() && deliveries_.empty(); }
  // What consumers take beyond what waits for them already.
  std::size_t FreeCredit() const;
  std::optional<MonotonicTime> next_due() const;

  void Join(const PullMemberPtr& member, MonotonicTime now, PullNews& news);
  // What it has taken has an unknown outcome.
  void Leave(PullMember& member, MonotonicTime now, PullNews& news);
  // What it has taken stays out.
  void Detach(PullMember& member, MonotonicTime now, PullNews& news);
  void AddCredit(PullMember& member, std::int64_t events, MonotonicTime now, PullNews& news);
  std::vector<PulledEvent> Take(PullMember& member, std::size_t events_max, std::size_t bytes_max,
                                MonotonicTime now, PullNews& news);
  // Everybody leaves, and is told `status`.
  void EndAll(const absl::Status& status, MonotonicTime now, PullNews& news);

  void Give(PullOrder order, MonotonicTime now, PullNews& news);
  void Cancel(const DeliveryKey& key, int attempt, MonotonicTime now, PullNews& news);
  // Gives everything back: taken as unknown, the rest as not started.
  void ReturnAll(MonotonicTime now, PullNews& news);

  // Of the delivery if it is out with `by`, or with anybody when that is null. False, and counted,
  // when it is not.
  bool Acknowledge(const std::string& id, const PullMember* by, MonotonicTime now, PullNews& news);
  bool Reject(const PullRejection& rejection, const PullMember* by, MonotonicTime now,
              PullNews& news);
  bool Extend(const std::string& id, const PullMember* by, MonotonicTime now);

  // Timeouts that are due.
  void Tick(MonotonicTime now, PullNews& news);

 private:
  enum class Place : std::uint8_t { kWaiting, kGiven, kTaken };
  struct Delivery {
    PullOrder order;
    Place place = Place::kWaiting;
    std::uint64_t holder = 0;  // The member's id; 0 also for one that detached.
    MonotonicTime since{};     // It waits, or was given.
    MonotonicTime due{};
  };
  using Deliveries = std::unordered_map<std::string, Delivery>;
  // Most credit first, then the one that was given something the longest ago.
  using Rank = std::tuple<std::int64_t, std::uint64_t, std::uint64_t>;

  static Rank RankOf(const PullMember& member) {
    return {-member.credit, member.given_last, member.id};
  }
  void SetCredit(PullMember& member, std::int64_t credit, PullNews& news);
  PullMember* Find(std::uint64_t member);
  PullMember& Choose(const std::string& id);
  void Dispatch(MonotonicTime now, PullNews& news);
  void GiveTo(PullMember& member, Deliveries::iterator at, MonotonicTime now, PullNews& news);
  void Wait(Deliveries::iterator at, bool first, MonotonicTime now);
  void SetDue(Deliveries::iterator at, MonotonicTime due);
  void SetPlace(Delivery& delivery, Place place);
  Deliveries::iterator FindOut(const std::string& id, const PullMember* by);
  void Release(Deliveries::iterator at, bool timed_out, PullNews& news);
  void Finish(Deliveries::iterator at, DeliveryResult result, MonotonicTime now, PullNews& news);
  void DropStaleWaiting();
  void Avoid(const std::string& id, std::uint64_t member);
  void TimeOut(Deliveries::iterator at, MonotonicTime now, PullNews& news);
  void Remove(PullMember& member, PullNews& news);
  void PutBackUntaken(PullMember& member, MonotonicTime now);

  const std::string uid_;
  const std::string name_;
  PullStats& stats_;
  std::map<std::uint64_t, PullMemberPtr> members_;
  std::set<Rank> ranking_;   // Members with credit.
  std::int64_t credit_ = 0;  // Of all members.
  std::uint64_t given_ = 0;
  Deliveries deliveries_;            // By delivery id.
  std::deque<std::string> waiting_;  // In order; may name what waits no more.
  std::size_t waiting_count_ = 0;
  std::set<std::pair<MonotonicTime, std::string>> due_;
  std::set<std::pair<MonotonicTime, std::uint64_t>> waits_due_;  // Members that wait so long.
  // Who let a delivery time out or rejected it, so that the next attempt goes elsewhere.
  std::unordered_map<std::string, std::uint64_t> avoid_;
  std::deque<std::string> avoid_order_;
};

}  // namespace penstock::broker
