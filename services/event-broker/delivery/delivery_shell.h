// Does for the delivery engine what it may not do itself: reads the log's head and matches, sends,
// publishes answers, writes transactions. Everything but threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/time.h"
#include "services/event-broker/delivery/background.h"
#include "services/event-broker/delivery/catch_up.h"
#include "services/event-broker/delivery/delivery_stats.h"
#include "services/event-broker/delivery/event_loader.h"
#include "services/event-broker/delivery/revision_index.h"
#include "services/event-broker/domain/delivery/engine.h"
#include "services/event-broker/ports/delivery_control.h"
#include "services/event-broker/ports/event_log.h"
#include "services/event-broker/ports/invoker.h"
#include "services/event-broker/ports/pull_target.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

struct DeliveryOptions {
  EngineOptions engine;
  CatchUpOptions catch_up;
};

// What delivery works with; all of it must outlive it.
struct DeliveryPorts {
  EventLog& log;
  StateStore& store;
  Invoker& invoker;
  PullTarget* pull = nullptr;  // None: pull subscriptions wait.
  const RevisionSource& revisions;
  const Clock& clock;
  // A subscription that drains has nothing left to deliver up to `drain_to`. On delivery's own
  // thread; must not block. May be empty.
  std::function<void(const std::string& uid, Sequence drain_to)> on_drained;
};

// What was stored when delivery starts.
struct DeliveryStart {
  SavedDeliveryState saved;
  // Every stored revision that has its sequence, in their order.
  std::vector<std::shared_ptr<const StoredRevision>> revisions;
  // The subscriptions as they are now.
  std::vector<Subscription> live;
  // Those that are running or paused.
  std::vector<StoredReplay> replays;
};

// Lives on one thread, on which `background` runs the messages; never blocks. After each message
// the owner calls Step, and also at wake_at and when the log's head advances.
class DeliveryShell final : public DeliveryControl {
 public:
  DeliveryShell(DeliveryPorts ports, Background& background, DeliveryOptions options,
                DeliveryStats& stats);
  ~DeliveryShell() override;

  // Restores, then starts the invoker and the pull target.
  void Start(DeliveryStart start);
  // One turn: reads some of the head, steps the engine, does what it asks.
  void Step();
  // True while the head is ahead of the matcher and can be read.
  bool head_waits() const;
  // When Step should be called at the latest.
  std::optional<MonotonicTime> wake_at() const;
  // Sends nothing new from now on. True once nothing is in flight and all is durable; until then to
  // be called after every step. With `late` it does not wait for what is in flight.
  bool Drain(bool late);

  void Change(std::shared_ptr<const Subscription> subscription) override;
  void GetProgress(const std::string& uid,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override;
  void FindDelivery(const DeliveryKey& key,
                    std::function<void(std::optional<DeliveryWhereabouts>)> done) override;
  void Redrive(std::vector<StoredDeadLetter> letters, int per_second,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override;
  void Cancel(const DeliveryKey& key, std::function<void(CancelVerdict)> done) override;
  void Purged(const std::vector<StoredDeadLetter>& letters) override;
  void StartReplay(const StoredReplay& replay) override;
  void SetReplayPaused(const std::string& lane, bool paused) override;
  void EndReplay(const std::string& lane) override;
  void CountMatches(const std::string& uid, Sequence from, Sequence to,
                    std::function<void(absl::StatusOr<std::int64_t>)> done) override;

  const DeliveryEngine& engine() const { return *engine_; }
  // Sends whose events are being read.
  std::size_t loading() const { return loading_.size(); }

  static DeliverySettings SettingsOf(const Subscription& subscription);

 private:
  using AttemptId = std::pair<DeliveryKey, int>;
  // A redrive whose rows are not durable yet.
  struct Redriven {
    std::uint64_t transaction = 0;  // The first one that holds them all, counted from 1.
    std::function<void()> done;
  };
  // A transaction on its way to the store, kept until it is durable.
  struct Commit {
    StateTransaction transaction;
    std::vector<StoredDeadLetter> dead;
    std::vector<std::size_t> unread;  // Of `dead`: those whose events are still to be read.
    int reads = 0;                    // How often that was tried.
  };
  // One event of a send.
  struct Loaded {
    DeliveryKey key;
    absl::Status status;
    SharedBytes body;
    WallTime append_time{};
  };
  struct Outgoing {
    SendOrder send;
    std::vector<Loaded> events;  // The first one's and those of the batch.
  };
  // Something that goes into the log because of a result or a sink.
  struct Publication {
    AppendRequest request;
    std::function<void(const AppendResult&)> done;
  };

  // The start, and the head: delivery_shell_head.cc.
  void Restore(DeliveryStart& start);
  void RestoreLanes(const DeliveryStart& start, const std::set<std::string>& known);
  void RestoreEndedReplays(const DeliveryStart& start);
  void ReadHead();
  void LoadHead(const ScanRequest& request);
  void TakeHead(const absl::StatusOr<ScanResult>& scanned);
  void TakeHeadBatch(const ScanResult& batch);
  void TakeControl(const EventRecord& record);
  void TakeRevision(const StoredRevision& stored, Sequence sequence);
  void TakeRevisionsUpTo(Sequence sequence);
  void SkipHeadTo(Sequence horizon);
  void OrderScan(ScanOrder order);
  void TakeScan(ScanAnswer answer);

  // Sends: delivery_shell_send.cc.
  void PerformSends(std::vector<SendOrder> sends);
  void LoadCold(std::vector<Outgoing> cold);
  void LoadRedriven(Outgoing outgoing);
  void RejectUnread(const Outgoing& outgoing, const absl::Status& status);
  void TakeLoaded(std::vector<Outgoing> loaded);
  void Dispatch(Outgoing outgoing);
  void DispatchToSink(const SendOrder& send, const Loaded& event, const Subscription& subscription);
  void PublishFailure(const SendOrder& send, const Loaded& event, const DeadDelivery& dead,
                      const Subscription& subscription);
  void DispatchToPull(const SendOrder& send, const Loaded& event, const Subscription& subscription);
  bool FailsBeforeSending(const SendOrder& send, const Loaded& event);
  InvocationOrder MakeOrder(const SendOrder& send, const Subscription& subscription) const;
  void PerformCancel(const DeliveryKey& key, int attempt);
  void Leave();

  // Results: delivery_shell_results.cc.
  void TakeResults(std::vector<DeliveryResult> results);
  void Fail(const DeliveryKey& key, int attempt, DeliveryOutcome outcome, DeliveryError error);
  bool MayReply(const DeliveryResult& result) const;
  void PublishReply(DeliveryResult result);
  void PublishReply(DeliveryResult result, int hops);
  void Publish(Publication publication);
  // `done` gets the last error, once all are durable or refused. Not for none.
  void PublishAll(std::vector<AppendRequest> requests,
                  std::function<void(const absl::Status&)> done);
  void FlushPublications();
  bool AppendPublications(const std::shared_ptr<std::vector<Publication>>& sent);
  void TakePublished(const std::shared_ptr<std::vector<Publication>>& publications,
                     const std::vector<AppendResult>& results);

  // Transactions: delivery_shell_commit.cc.
  void Perform();
  void ReportDrained(const std::string& uid);
  void StartCommit(StateTransaction transaction);
  void ReadDead(std::shared_ptr<Commit> commit);
  void TakeDead(std::shared_ptr<Commit> commit);
  StoredDeadLetter DescribeDead(const DeadDelivery& dead) const;
  void WriteCommit();
  void MovePins(const StateTransaction& transaction);
  void PinLane(const std::string& lane, Sequence from);
  void PinStart(const std::string& lane, Sequence from);
  std::uint64_t NextTransaction() const {
    return transactions_started_ + (out_.transaction ? 2 : 1);
  }
  void CommitDone(const absl::Status& status);

  void AddReplay(const StoredReplay& replay, const SavedDeliveryState* saved);
  void StartWaitingReplays(const std::string& uid, Sequence through);
  bool KnowsNewest(const std::string& uid, Sequence through) const;
  void PublishStats();
  // Also of subscriptions that were deleted a moment ago.
  const Subscription* FindSubscription(std::string_view uid) const;
  std::optional<std::string> OrderedBy(const std::string& uid) const;
  EngineTime now() const { return {ports_.clock.Wall(), ports_.clock.Monotonic()}; }

  const DeliveryPorts ports_;
  Background& background_;
  const DeliveryOptions options_;
  DeliveryStats& stats_;
  CatchUp catch_up_;
  const std::shared_ptr<EventLoader> loader_;  // For work of Background::kLoad alone.

  std::optional<DeliveryEngine> engine_;
  EngineOutput out_;
  RevisionIndex index_;
  using Subscriptions = std::map<std::string, std::shared_ptr<const Subscription>, std::less<>>;
  Subscriptions subscriptions_;  // By uid.
  Subscriptions removed_;        // Until the transaction in which the engine forgets them.
  // Stored revisions whose control records are ahead: for when these cannot be read.
  std::map<Sequence, std::shared_ptr<const StoredRevision>> ahead_;
  std::map<std::string, StoredReplay> replays_waiting_;  // By lane: for their subscriptions.
  bool head_loading_ = false;
  std::optional<MonotonicTime> read_again_at_;  // After the head could not be read.

  std::set<AttemptId> loading_;  // Sends whose events are being read and that were not cancelled.
  std::vector<InvocationOrder> orders_;
  std::vector<PullOrder> pull_orders_;
  std::vector<DeliveryResult> failed_;  // Ends of attempts that were never sent.
  std::uint64_t sent_ = 0;
  bool draining_ = false;

  std::vector<Publication> publications_;
  std::optional<MonotonicTime> publish_again_at_;

  std::shared_ptr<const Commit> commit_;
  std::shared_ptr<Commit> commit_unread_;  // Waits to read its dead letters' events again.
  std::optional<MonotonicTime> commit_again_at_;
  std::vector<Redriven> redrives_;
  std::uint64_t transactions_started_ = 0;
  std::unique_ptr<LogPin> pin_;
  // Of lanes that are behind, by lane: says for whom the log keeps what.
  std::map<std::string, std::unique_ptr<LogPin>> lane_pins_;
  // Lanes that began in the past, with the first transaction that knows them, counted from 1.
  std::map<std::string, std::uint64_t> lanes_begun_;
};

}  // namespace penstock::broker
