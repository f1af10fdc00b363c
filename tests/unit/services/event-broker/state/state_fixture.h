// The suite that every state store has to pass, each on a store of its own, with calls that wait.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/fake_clock.h"
#include "services/event-broker/state/sqlite_state_store.h"
#include "tests/support/event-broker/memory_state_store.h"
#include "tests/unit/services/event-broker/sample_subscription.h"

namespace penstock::broker {

enum class StoreKind { kSqlite, kMemory };

inline std::string NameOf(const testing::TestParamInfo<StoreKind>& kind) {
  return kind.param == StoreKind::kSqlite ? "Sqlite" : "Memory";
}

class StateTest : public testing::TestWithParam<StoreKind> {
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

  // As after a crash and a new start.
  void Reopen() {
    const StateOptions options{.dedup_window = std::chrono::seconds(60), .clock = &clock_};
    if (GetParam() == StoreKind::kMemory) {
      store_ = store_ == nullptr ? std::make_unique<MemoryStateStore>(options)
                                 : static_cast<MemoryStateStore&>(*store_).Crash();
      return;
    }
    store_.reset();
    auto store = SqliteStateStore::Open((folder_ / "state.db").string(), options);
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

  template <typename T, typename Call>
  static absl::StatusOr<T> WaitFor(const Call& call) {
    return Wait<absl::StatusOr<T>>(call);
  }

  absl::Status Save(const Subscription& subscription, bool deleted = false) {
    return Wait([&](auto done) { store_->SaveRevision({subscription, deleted, nullptr}, done); });
  }
  absl::StatusOr<StoredRevision> SaveAdopting(const std::string& from,
                                              const Subscription& subscription) {
    return WaitFor<StoredRevision>([&](auto done) {
      store_->SaveAdopting(from, {subscription, false, nullptr}, done);
    });
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

  FakeClock clock_;
  std::filesystem::path folder_;
  std::unique_ptr<StateStore> store_;
};

// Every store passes the tests of `suite`.
#define PENSTOCK_FOR_ALL_STORES(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(Stores, suite, testing::Values(StoreKind::kSqlite, StoreKind::kMemory), \
                           NameOf)

inline RetryRow SampleRow(Sequence sequence) {
  RetryRow row;
  row.position = {sequence, FromUnixMicros(1'700'000'000'000'000), 0xfedcba9876543210, 321};
  row.kind = RowKind::kSink;
  row.dead_reason = DeadReason::kHopLimit;
  row.member = 3;
  row.attempts_made = 2;
  row.attempts_sent = 6;
  row.lost = 1;
  row.rejected = 4;
  row.due = FromUnixMicros(1'700'000'005'000'000);
  row.delay = Microseconds(5'000'000);
  row.age_from = FromUnixMicros(1'699'999'999'000'000);
  row.redrives = 3;
  AttemptRecord attempt;
  attempt.attempt = 2;
  attempt.time = FromUnixMicros(1'700'000'000'000'001);
  attempt.duration = Microseconds(1234);
  attempt.error = {"FunctionError", "Boom", "it broke"};
  attempt.execution = "spaces/shop/executions/e1";
  attempt.http_status = 503;
  row.log = {attempt};
  return row;
}

inline StoredDeadLetter SampleLetter(Sequence sequence, const std::string& subscription = "orders",
                                     DeadReason reason = DeadReason::kPermanent) {
  StoredDeadLetter letter;
  letter.delivery.key = {"uid-" + subscription, sequence};
  letter.delivery.append_time = FromUnixMicros(1'600'000'000'000'000);
  letter.delivery.reason = reason;
  letter.delivery.attempts = 3;
  letter.delivery.time =
      FromUnixMicros(1'700'000'000'000'000 + static_cast<std::int64_t>(sequence));
  letter.delivery.ordering_key = 0xfedcba9876543210;
  AttemptRecord attempt;
  attempt.error = {"FunctionError", "Boom", "it broke [badly]"};
  letter.delivery.log = {attempt};
  letter.space = "shop";
  letter.subscription = subscription;
  letter.function = "bill";
  letter.event = "event " + std::to_string(sequence);
  letter.event_id = "id" + std::to_string(sequence);
  letter.event_type = "order.paid";
  return letter;
}

inline std::vector<Sequence> SequencesOf(const DeadLetterPage& page) {
  std::vector<Sequence> sequences;
  for (const auto& letter : page.letters) sequences.push_back(letter.delivery.key.sequence);
  return sequences;
}

inline DeadLetterQuery AllLetters(std::size_t limit = 50) {
  DeadLetterQuery query;
  query.space = "shop";
  query.limit = limit;
  return query;
}

// The next matching revision of `subscription`.
inline Subscription NextRevision(Subscription subscription) {
  ++subscription.revision;
  subscription.match_revision = subscription.revision;
  return subscription;
}

}  // namespace penstock::broker
