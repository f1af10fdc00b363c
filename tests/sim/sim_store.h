// The state store of the simulation: durable exactly when a transaction is applied.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/ports/state_store.h"
#include "tests/sim/flaw.h"
#include "tests/sim/world.h"

namespace penstock::broker::sim {

// What is durable; survives crashes of the broker.
struct StoredState {
  SavedDeliveryState delivery;
  std::map<DeliveryKey, StoredDeadLetter> dead;
  std::map<std::pair<std::string, std::int64_t>, StoredRevision> revisions;  // By uid, revision.
  std::map<std::string, StoredReplay> replays;                               // By lane.
  std::int64_t epoch = 0;
};

// One run of the broker over `state`. Calls are applied in their order, some time after they were
// made, and answered some time after that; a crash may come before, between and after.
class SimStore final : public StateStore {
 public:
  SimStore(World& world, StoredState& state, Flaw flaw)
      : world_(world), state_(state), flaw_(flaw), epoch_(++state.epoch) {}
  // The broker is gone: what was not applied never is, nothing is answered.
  void Crash() { *alive_ = false; }
  // Told each transaction that is not refused, when it is asked for.
  std::function<void(const StateTransaction&)> on_commit;
  // Commits fail while set.
  void set_failing(bool failing) { failing_ = failing; }

  std::int64_t epoch() const override { return epoch_; }
  absl::StatusOr<SavedDeliveryState> LoadDeliveryState() override;
  void Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead,
              StoreDone done) override;

  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override;
  void SaveRevision(StoredRevision revision, StoreDone done) override;
  void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                        StoreDone done) override;
  void UpdateInPlace(const Subscription& subscription, StoreDone done) override;

  void GetDeadLetter(const DeliveryKey& key, StoreResult<StoredDeadLetter> done) override;
  void ListDeadLetters(DeadLetterQuery query, StoreResult<DeadLetterPage> done) override;
  void PurgeDeadLetters(std::vector<DeliveryKey> keys, StoreResult<std::int64_t> done) override;

  absl::StatusOr<std::vector<StoredReplay>> LoadReplays() override;
  void SaveReplay(StoredReplay replay, StoreDone done) override;
  void SetReplayState(const std::string& uid, const std::string& replay, ReplayState state,
                      WallTime now, StoreResult<StoredReplay> done) override;

  // Nothing in the simulation calls these.
  void SaveAdopting(const std::string&, StoredRevision, StoreResult<StoredRevision> done) override;
  void DropRevision(const std::string&, std::int64_t, StoreDone done) override;
  void PruneRevisions(Sequence, StoreDone done) override;
  void EditDeadLetter(const DeliveryKey&, int, std::string, std::string, std::string,
                      StoreDone done) override;
  void CountDeadLetters(const std::string&, StoreResult<std::int64_t> done) override;
  void ListReplays(const std::string&, const std::string&, std::size_t,
                   StoreResult<std::vector<StoredReplay>> done) override;
  void GetReplay(const std::string&, const std::string&, StoreResult<StoredReplay> done) override;
  void PruneReplays(WallTime, StoreDone done) override;
  void Schedule(std::vector<ScheduledEvent>, StoreResult<std::vector<bool>> done) override;
  void ListDue(DueQuery, StoreResult<DueEvents> done) override;
  void RemoveScheduled(std::vector<ScheduledEvent>, StoreDone done) override;
  void ListScheduled(ScheduledQuery, StoreResult<ScheduledPage> done) override;
  void GetScheduled(const std::string&, const std::string&,
                    StoreResult<ScheduledEvent> done) override;
  void CancelScheduled(const std::string&, const std::string&,
                       StoreResult<ScheduledEvent> done) override;
  void CountScheduled(StoreResult<std::uint64_t> done) override;
  absl::Status Backup(const std::string&) override;
  void Stop() override {}

 private:
  // Applies `write` later, behind earlier ones, and answers after that.
  void Later(std::function<absl::Status()> write, StoreDone done);
  void ApplyEnds(const StateTransaction& transaction);
  void ApplyPositions(const StateTransaction& transaction);
  void ApplyRows(const StateTransaction& transaction, const std::vector<StoredDeadLetter>& dead);

  World& world_;
  StoredState& state_;
  const Flaw flaw_;
  const std::int64_t epoch_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  MonotonicTime busy_until_{};
  bool failing_ = false;
};

}  // namespace penstock::broker::sim
