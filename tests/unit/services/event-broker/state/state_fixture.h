// A state store in a folder of its own, with calls that wait.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/event-broker/state/sqlite_state_store.h"
#include "tests/unit/services/event-broker/sample_subscription.h"

namespace penstock::broker {

class StateTest : public testing::Test {
 protected:
  StateTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "broker-state-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    Reopen();
  }
  ~StateTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Reopen() {
    store_.reset();
    auto store = SqliteStateStore::Open((folder_ / "state.db").string());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Runs a call that ends with a `done` and waits for it.
  template <typename Answer = absl::Status, typename Call>
  static Answer Wait(const Call& call) {
    std::promise<Answer> answer;
    call([&](Answer given) { answer.set_value(std::move(given)); });
    return answer.get_future().get();
  }

  absl::Status Save(const Subscription& subscription, bool deleted = false) {
    return Wait([&](auto done) { store_->SaveRevision({subscription, deleted}, done); });
  }
  absl::Status Activate(const std::string& uid, std::int64_t revision, Sequence effective) {
    return Wait([&](auto done) { store_->ActivateRevision(uid, revision, effective, done); });
  }
  absl::Status Drop(const std::string& uid, std::int64_t revision) {
    return Wait([&](auto done) { store_->DropRevision(uid, revision, done); });
  }
  absl::Status UpdateInPlace(const Subscription& subscription) {
    return Wait([&](auto done) { store_->UpdateInPlace(subscription, done); });
  }
  absl::Status Prune(Sequence horizon) {
    return Wait([&](auto done) { store_->PruneRevisions(horizon, done); });
  }
  absl::Status Commit(StateTransaction transaction, std::vector<StoredDeadLetter> dead = {}) {
    return Wait([&](auto done) { store_->Commit(std::move(transaction), std::move(dead), done); });
  }
  absl::StatusOr<DeadLetterPage> List(DeadLetterQuery query) {
    return Wait<absl::StatusOr<DeadLetterPage>>(
        [&](auto done) { store_->ListDeadLetters(std::move(query), done); });
  }
  absl::StatusOr<StoredDeadLetter> Get(const DeliveryKey& key) {
    return Wait<absl::StatusOr<StoredDeadLetter>>(
        [&](auto done) { store_->GetDeadLetter(key, done); });
  }
  std::int64_t Purge(std::vector<DeliveryKey> keys) {
    return *Wait<absl::StatusOr<std::int64_t>>(
        [&](auto done) { store_->PurgeDeadLetters(std::move(keys), done); });
  }
  std::int64_t Count(const std::string& uid) {
    return *Wait<absl::StatusOr<std::int64_t>>(
        [&](auto done) { store_->CountDeadLetters(uid, done); });
  }
  SavedDeliveryState Load() {
    auto state = store_->LoadDeliveryState();
    EXPECT_TRUE(state.ok()) << state.status();
    return *std::move(state);
  }
  // "uid/match_revision@effective", with "-" for a deletion.
  std::vector<std::string> Revisions() {
    auto revisions = store_->LoadRevisions();
    EXPECT_TRUE(revisions.ok()) << revisions.status();
    std::vector<std::string> texts;
    for (const StoredRevision& stored : *revisions) {
      const Subscription& subscription = stored.subscription;
      texts.push_back((stored.deleted ? "-" : "") + subscription.uid + "/" +
                      std::to_string(subscription.match_revision) + "@" +
                      std::to_string(subscription.effective_sequence));
    }
    return texts;
  }

  std::filesystem::path folder_;
  std::unique_ptr<SqliteStateStore> store_;
};

// The next matching revision of `subscription`.
inline Subscription NextRevision(Subscription subscription) {
  ++subscription.revision;
  subscription.match_revision = subscription.revision;
  return subscription;
}

}  // namespace penstock::broker
