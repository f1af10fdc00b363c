// The broker's state in one SQLite file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sqlite/database.h"
#include "services/event-broker/ports/state_store.h"

namespace penstock::broker {

// See StateStore. Every answered write is synced.
class SqliteStateStore final : public StateStore {
 public:
  // Opens or creates the file. The error names it.
  static absl::StatusOr<std::unique_ptr<SqliteStateStore>> Open(const std::string& path);
  ~SqliteStateStore() override { Stop(); }

  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override;
  absl::StatusOr<SavedDeliveryState> LoadDeliveryState() override;
  void SaveRevision(StoredRevision revision, Done done) override;
  void ActivateRevision(const std::string& uid, std::int64_t revision, Sequence effective,
                        Done done) override;
  void DropRevision(const std::string& uid, std::int64_t revision, Done done) override;
  void UpdateInPlace(const Subscription& subscription, Done done) override;
  void PruneRevisions(Sequence horizon, Done done) override;
  void Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead, Done done) override;
  void ListDeadLetters(DeadLetterQuery query, Result<DeadLetterPage> done) override;
  void GetDeadLetter(const DeliveryKey& key, Result<StoredDeadLetter> done) override;
  void PurgeDeadLetters(std::vector<DeliveryKey> keys, Result<std::int64_t> done) override;
  void CountDeadLetters(const std::string& uid, Result<std::int64_t> done) override;
  absl::Status Backup(const std::string& path) override;
  void Stop() override { database_->Stop(); }

 private:
  explicit SqliteStateStore(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}

  const std::unique_ptr<sqlite::Database> database_;
};

// Writes one dead letter, replacing an earlier one of the same delivery; an empty event keeps the
// copy that is there. For Commit.
absl::Status WriteDeadLetter(sqlite::Connection& connection, const StoredDeadLetter& letter);

}  // namespace penstock::broker
