// The broker's state in memory, for simulations: the same answers as the real store, without
// threads.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/ports/state_store.h"
#include "services/event-broker/state/state_options.h"

namespace penstock::broker {

// What is durable. A plain value; no hash containers, so that its order is the same everywhere.
struct MemoryState {
  struct Revision {
    Subscription subscription;
    bool deleted = false;
    Sequence effective = kNoSequence;
    std::string adopted;  // The uid whose lane it took over.
  };
  struct Lane {
    Cursor cursor;
    std::map<Sequence, RetryRow> rows;
  };
  using Named = std::pair<std::string, std::string>;  // Space and id, or space and key.

  std::map<std::pair<std::string, std::int64_t>, Revision> revisions;
  std::map<Named, std::string> names;
  std::map<std::string, std::string> routes;
  Sequence matched_through = kNoSequence;
  std::map<std::string, Cursor> cursors;
  std::map<std::string, std::map<Sequence, RetryRow>> rows;
  std::map<std::string, Lane> ended;
  std::map<std::int64_t, StoredDeadLetter> letters;  // By position.
  std::map<DeliveryKey, std::int64_t> letter_positions;
  std::int64_t next_letter = 1;
  std::map<std::int64_t, StoredReplay> replays;  // By position.
  std::int64_t next_replay = 1;
  std::map<Named, ScheduledEvent> scheduled;
  std::map<Named, WallTime> published_keys;  // Until when they are remembered.
  std::int64_t epoch = 0;

  bool IsRedriven(const DeliveryKey& key) const {
    const auto lane = rows.find(key.uid);
    return lane != rows.end() && lane->second.contains(key.sequence);
  }
  void CountLetter(const StoredDeadLetter& letter, SavedDeliveryState::DeadCount& count) const;
};

// Answers in the call, unless writes are held. Thread-safe.
class MemoryStateStore final : public StateStore {
 public:
  explicit MemoryStateStore(StateOptions options = {}, MemoryState state = {});

  // From now on writes wait, in order, for RunNext. Reads see what has run.
  void Hold();
  // Runs the oldest write that waits and answers it; false when none waits.
  bool RunNext();
  std::size_t held() const;
  // Writes that run from now on change nothing and answer with `status`; OK ends that.
  void FailWrites(absl::Status status);
  // What a new start finds. This store answers nothing any more: writes that wait are lost.
  std::unique_ptr<MemoryStateStore> Crash();

  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override;
  void SaveRevision(StoredRevision revision, Done done) override;
  void SaveAdopting(const std::string& from_uid, StoredRevision revision,
                    Result<StoredRevision> done) override;
  void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                        Done done) override;
  void DropRevision(const std::string& uid, std::int64_t revision, Done done) override;
  void UpdateInPlace(const Subscription& subscription, Done done) override;
  void PruneRevisions(Sequence horizon, Done done) override;

  std::int64_t epoch() const override { return epoch_; }
  absl::StatusOr<SavedDeliveryState> LoadDeliveryState() override;
  void Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead, Done done) override;

  void ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) override;
  void GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) override;
  void PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) override;
  void EditDeadLetter(const DeliveryKey& key, int edits, std::string event, std::string event_id,
                      std::string event_type, Done done) override;
  void CountDeadLetters(const std::string& uid, Result<std::int64_t> done) override;

  absl::StatusOr<std::vector<StoredReplay>> LoadReplays() override;
  void SaveReplay(StoredReplay replay, Done done) override;
  void SetReplayState(const std::string& uid, const std::string& replay, ReplayState state,
                      WallTime now, Result<StoredReplay> done) override;
  void ListReplays(const std::string& uid, const std::string& after, std::size_t limit,
                   Result<std::vector<StoredReplay>> done) override;
  void GetReplay(const std::string& uid, const std::string& replay,
                 Result<StoredReplay> done) override;
  void PruneReplays(WallTime before, Done done) override;

  void Schedule(std::vector<ScheduledEvent> events, Result<std::vector<bool>> done) override;
  void ListDue(DueQuery query, Result<DueEvents> done) override;
  void RemoveScheduled(std::vector<ScheduledEvent> events, Done done) override;
  void ListScheduled(ScheduledQuery query, Result<ScheduledPage> done) override;
  void GetScheduled(const std::string& space, const std::string& key,
                    Result<ScheduledEvent> done) override;
  void CancelScheduled(const std::string& space, const std::string& key,
                       Result<ScheduledEvent> done) override;
  void CountScheduled(Result<std::uint64_t> done) override;

  // UNIMPLEMENTED: there is no file.
  absl::Status Backup(const std::string& path) override;
  void Stop() override;

 private:
  struct Write {
    std::function<absl::Status(MemoryState&)> job;  // Changes nothing when it fails.
    Done done;
  };

  void RunWrite(Write write);
  void Post(std::function<absl::Status(MemoryState&)> job, Done done);
  template <typename T, typename Job>
  void WriteValue(Job job, Result<T> done) {
    auto value = std::make_shared<T>();
    Post([value, job = std::move(job)](MemoryState& state) { return job(state, *value); },
         [value, done = std::move(done)](const absl::Status& status) {
           if (!status.ok()) return done(status);
           done(std::move(*value));
         });
  }
  template <typename T, typename Job>
  void ReadValue(const Job& job, const Result<T>& done) const {
    T value{};
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      status = readable_ ? job(state_, value) : absl::UnavailableError("the store is stopped");
    }
    if (!status.ok()) return done(status);
    done(std::move(value));
  }
  // As ReadValue, for the calls that block in the real store.
  template <typename Job>
  absl::Status Load(const Job& job) const {
    const std::lock_guard lock(mutex_);
    return readable_ ? job(state_) : absl::UnavailableError("the store is stopped");
  }

  const StateOptions options_;
  mutable std::mutex mutex_;
  MemoryState state_;
  const std::int64_t epoch_;
  std::deque<Write> held_;
  absl::Status failure_;
  bool holding_ = false;
  bool readable_ = true;
  bool crashed_ = false;
};

}  // namespace penstock::broker
