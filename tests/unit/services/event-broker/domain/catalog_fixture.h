// The catalog over ports whose answers the test gives, one by one.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/fake_clock.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"

namespace penstock::broker {

// Notes what is asked, for example "save u/1" or "acquire spaces/shop/functions/bill", and answers
// when the test says so.
class Steps {
 public:
  using Answer = std::function<void(absl::Status)>;

  void Add(std::string what, Answer answer) { steps_.emplace_back(std::move(what), answer); }
  std::vector<std::string> waiting() const {
    std::vector<std::string> all;
    for (const auto& [what, answer] : steps_) all.push_back(what);
    return all;
  }
  // Answers the oldest step, which must begin with `what`.
  void Reply(const std::string& what, const absl::Status& status = absl::OkStatus()) {
    ASSERT_FALSE(steps_.empty()) << what;
    ASSERT_TRUE(steps_.front().first.starts_with(what)) << steps_.front().first;
    const Answer answer = std::move(steps_.front().second);
    steps_.pop_front();
    answer(status);
  }

 private:
  std::deque<std::pair<std::string, Answer>> steps_;
};

class ManualReferences final : public FunctionReferences {
 public:
  explicit ManualReferences(Steps& steps) : steps_(steps) {}
  void Acquire(Reference reference,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    steps_.Add("acquire " + reference.function,
               [done](const absl::Status& status) { status.ok() ? done(3) : done(status); });
  }
  void Release(Reference reference, std::function<void(absl::Status)> done) override {
    steps_.Add("release " + reference.function, done);
  }
  void Reconcile(std::vector<Reference>,
                 std::function<void(absl::StatusOr<std::vector<Reference>>)>) override {}

 private:
  Steps& steps_;
};

// Only what the catalog writes.
class ManualStore final : public StateStore {
 public:
  explicit ManualStore(Steps& steps) : steps_(steps) {}
  void SaveRevision(StoredRevision revision, Done done) override {
    steps_.Add("save " + std::to_string(revision.subscription.match_revision), done);
  }
  void ActivateRevision(const std::string&, std::int64_t revision, Sequence effective,
                        Done done) override {
    steps_.Add("activate " + std::to_string(revision) + "@" + std::to_string(effective), done);
  }
  void DropRevision(const std::string&, std::int64_t revision, Done done) override {
    steps_.Add("drop " + std::to_string(revision), done);
  }
  void UpdateInPlace(const Subscription& subscription, Done done) override {
    steps_.Add("update " + std::to_string(subscription.revision), done);
  }
  void PruneRevisions(Sequence horizon, Done done) override {
    steps_.Add("prune " + std::to_string(horizon), done);
  }
  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override {
    return std::vector<StoredRevision>();
  }
  absl::StatusOr<SavedDeliveryState> LoadDeliveryState() override { return SavedDeliveryState(); }
  void Commit(StateTransaction, std::vector<StoredDeadLetter>, Done) override {}
  void ListDeadLetters(DeadLetterQuery, Result<DeadLetterPage>) override {}
  void GetDeadLetter(const DeliveryKey&, Result<StoredDeadLetter>) override {}
  void PurgeDeadLetters(std::vector<DeliveryKey>, Result<std::int64_t>) override {}
  void CountDeadLetters(const std::string&, Result<std::int64_t>) override {}
  absl::Status Backup(const std::string&) override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  Steps& steps_;
};

// Only appends, head and horizon.
class ManualLog final : public EventLog {
 public:
  explicit ManualLog(Steps& steps) : steps_(steps) {}
  absl::Status Append(std::vector<AppendRequest> requests, AppendDone done) override {
    if (!queue_status_.ok()) return queue_status_;
    const Sequence sequence = ++head_;
    steps_.Add("append " + std::string(requests.front().body.view())
                               .substr(requests.front().body.view().rfind('/') + 1),
               [done, sequence](const absl::Status& status) {
                 AppendResult result;
                 result.verdict = status.ok() ? AppendVerdict::kAccepted : AppendVerdict::kFailed;
                 result.sequence = sequence;
                 result.status = status;
                 done({result});
               });
    return absl::OkStatus();
  }
  void set_queue_status(absl::Status status) { queue_status_ = std::move(status); }
  void set_horizon(Sequence horizon) { horizon_ = horizon; }

  Durability durability() const override { return Durability::kFsynced; }
  Sequence head() const override { return head_; }
  Sequence horizon() const override { return horizon_; }
  std::unique_ptr<HeadListener> OnHeadAdvanced(std::function<void(Sequence)>) override {
    return nullptr;
  }
  absl::StatusOr<ScanResult> Scan(const ScanRequest&) override { return ScanResult(); }
  std::optional<ScanResult> ScanCached(const ScanRequest&) override { return std::nullopt; }
  absl::StatusOr<EventRecord> Read(Sequence) override { return EventRecord(); }
  std::optional<EventRecord> ReadCached(Sequence) override { return std::nullopt; }
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime) override { return kNoSequence; }
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest&) override {
    return std::vector<EventRecord>();
  }
  std::unique_ptr<LogPin> Pin(Sequence) override { return nullptr; }
  LogHealth Health() const override { return {}; }
  absl::Status Reopen() override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  Steps& steps_;
  absl::Status queue_status_;
  Sequence head_ = 0;
  Sequence horizon_ = 1;
};

// Delivery that has nothing pending.
class IdleDelivery final : public DeliveryControl {
 public:
  void Change(std::shared_ptr<const Subscription>) override {}
  void GetProgress(const std::string&,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override {
    done(std::nullopt);
  }
  void Redrive(std::vector<StoredDeadLetter>,
               std::function<void(absl::StatusOr<std::int64_t>)>) override {}
};

}  // namespace penstock::broker
