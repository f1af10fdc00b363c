// The broker's state in one SQLite file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sqlite/database.h"
#include "services/event-broker/ports/state_store.h"
#include "services/event-broker/state/state_options.h"

namespace penstock::broker {

// See StateStore. Every answered write is synced.
class SqliteStateStore final : public StateStore {
 public:
  // Opens or creates the file, and takes it over from whoever had it open. The error names it.
  static absl::StatusOr<std::unique_ptr<SqliteStateStore>> Open(const std::string& path,
                                                                StateOptions options = {});
  ~SqliteStateStore() override { Stop(); }

  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override;
  void SaveRevision(StoredRevision revision, Done done) override;
  void SaveAdopting(const std::string& from_uid, StoredRevision revision,
                    Result<StoredRevision> done) override;
  void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                        Done done) override;
  void DropRevision(const std::string& uid, std::int64_t revision, Done done) override;
  void UpdateInPlace(const Subscription& subscription, Done done) override;
  void PruneRevisions(Sequence horizon, Done done) override;

  std::int64_t epoch() const override { return *epoch_; }
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

  absl::Status Backup(const std::string& path) override { return database_->Backup(path); }
  void Stop() override { database_->Stop(); }

 private:
  // The epoch is set once it is raised; 0 until then.
  using Epoch = std::shared_ptr<std::int64_t>;

  SqliteStateStore(std::unique_ptr<sqlite::Database> database, StateOptions options, Epoch epoch);

  // Runs `job(connection, value)` as a write or read, and answers with the value.
  template <typename T, typename Job>
  void WriteValue(Job job, Result<T> done) {
    auto value = std::make_shared<T>();
    database_->writer().Write(
        [value, job = std::move(job)](sqlite::Connection& connection) {
          *value = T();
          return job(connection, *value);
        },
        Answer(value, std::move(done)));
  }
  template <typename T, typename Job>
  void ReadValue(Job job, Result<T> done) {
    auto value = std::make_shared<T>();
    database_->readers().ReadAsync(
        [value, job = std::move(job)](sqlite::Connection& connection) {
          return job(connection, *value);
        },
        Answer(value, std::move(done)));
  }
  template <typename T>
  static Done Answer(std::shared_ptr<T> value, Result<T> done) {
    return [value = std::move(value), done = std::move(done)](const absl::Status& status) {
      if (!status.ok()) return done(status);
      done(std::move(*value));
    };
  }

  const std::unique_ptr<sqlite::Database> database_;
  const StateOptions options_;
  const Epoch epoch_;
};

}  // namespace penstock::broker
