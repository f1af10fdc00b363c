// The catalog over ports whose answers the test gives, one by one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/fake_clock.h"
#include "libs/base/status.h"
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

// Only what the catalog writes. An adoption, when it is answered with OK, goes on at 41.
class ManualStore final : public StateStore {
 public:
  explicit ManualStore(Steps& steps) : steps_(steps) {}
  void SaveRevision(StoredRevision revision, Done done) override {
    steps_.Add("save " + std::to_string(revision.subscription.match_revision), done);
  }
  void SaveAdopting(const std::string& from_uid, StoredRevision revision,
                    Result<StoredRevision> done) override {
    written_ = revision.subscription;
    steps_.Add("adopt " + from_uid, [done, revision](const absl::Status& status) {
      if (!status.ok()) return done(status);
      StoredRevision stored = revision;
      auto lane = std::make_shared<SavedLane>();
      lane->cursor.floor = 40;
      stored.adopted = lane;
      Sequence& start = stored.subscription.start.resolved;
      start = std::max<Sequence>(start, 41);
      done(stored);
    });
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
    written_ = subscription;
  }
  // The last one that was to be updated in place, or that adopted another one.
  const Subscription& written() const { return written_; }
  void PruneRevisions(Sequence horizon, Done done) override {
    steps_.Add("prune " + std::to_string(horizon), done);
  }
  absl::StatusOr<std::vector<StoredRevision>> LoadRevisions() override {
    return std::vector<StoredRevision>();
  }
  std::int64_t epoch() const override { return 1; }
  absl::StatusOr<SavedDeliveryState> LoadDeliveryState() override { return SavedDeliveryState(); }
  void Commit(StateTransaction, std::vector<StoredDeadLetter>, Done) override {}
  void ListDeadLetters(DeadLetterQuery, Result<DeadLetterPage>) override {}
  void GetDeadLetter(const DeliveryKey&, Result<StoredDeadLetter>) override {}
  void PurgeDeadLetters(std::vector<DeliveryKey>, Result<std::int64_t>) override {}
  void EditDeadLetter(const DeliveryKey&, int, std::string, std::string, std::string,
                      Done) override {}
  void CountDeadLetters(const std::string&, Result<std::int64_t>) override {}
  absl::StatusOr<std::vector<StoredReplay>> LoadReplays() override {
    return std::vector<StoredReplay>();
  }
  void SaveReplay(StoredReplay, Done) override {}
  void SetReplayState(const std::string&, const std::string&, ReplayState, WallTime,
                      Result<StoredReplay>) override {}
  void ListReplays(const std::string&, const std::string&, std::size_t,
                   Result<std::vector<StoredReplay>>) override {}
  void GetReplay(const std::string&, const std::string&, Result<StoredReplay>) override {}
  void PruneReplays(WallTime, Done) override {}
  void Schedule(std::vector<ScheduledEvent>, Result<std::vector<bool>>) override {}
  void ListDue(DueQuery, Result<DueEvents>) override {}
  void RemoveScheduled(std::vector<ScheduledEvent>, Done) override {}
  void ListScheduled(ScheduledQuery, Result<ScheduledPage>) override {}
  void GetScheduled(const std::string&, const std::string&, Result<ScheduledEvent>) override {}
  void CancelScheduled(const std::string&, const std::string&, Result<ScheduledEvent>) override {}
  void CountScheduled(Result<std::uint64_t>) override {}
  absl::Status Backup(const std::string&) override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  Steps& steps_;
  Subscription written_;
};

// Only appends, head, horizon, times and pins.
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
  // Each sequence was appended that many seconds after the epoch.
  absl::StatusOr<Sequence> FirstAtOrAfter(WallTime time) override {
    const std::int64_t seconds = ToUnixMicros(time) / 1'000'000;
    return std::min(head_ + 1, std::max<Sequence>(horizon_, static_cast<Sequence>(seconds)));
  }
  absl::StatusOr<std::vector<EventRecord>> FindById(const FindByIdRequest&) override {
    return std::vector<EventRecord>();
  }
  std::unique_ptr<LogPin> Pin(Sequence sequence, const PinOwner&) override {
    return std::make_unique<NotedPin>(pins_, sequence);
  }
  void set_head(Sequence head) { head_ = head; }
  const std::multiset<Sequence>& pins() const { return *pins_; }

  LogHealth Health() const override { return {}; }
  absl::Status Reopen() override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  class NotedPin final : public LogPin {
   public:
    NotedPin(std::shared_ptr<std::multiset<Sequence>> pins, Sequence sequence)
        : pins_(std::move(pins)), at_(pins_->insert(sequence)) {}
    ~NotedPin() override { pins_->erase(at_); }
    void MoveTo(Sequence) override {}
    Sequence sequence() const override { return *at_; }

   private:
    const std::shared_ptr<std::multiset<Sequence>> pins_;
    const std::multiset<Sequence>::iterator at_;
  };

  Steps& steps_;
  const std::shared_ptr<std::multiset<Sequence>> pins_ =
      std::make_shared<std::multiset<Sequence>>();
  absl::Status queue_status_;
  Sequence head_ = 0;
  Sequence horizon_ = 1;
};

// Delivery that stands as the test says: nothing is pending, nothing is known.
class IdleDelivery final : public DeliveryControl {
 public:
  void Change(std::shared_ptr<const Subscription> subscription) override {
    changes_.push_back(*subscription);
  }
  void GetProgress(const std::string&,
                   std::function<void(std::optional<SubscriptionProgress>)> done) override {
    done(progress_);
  }
  void FindDelivery(const DeliveryKey&,
                    std::function<void(std::optional<DeliveryWhereabouts>)>) override {}
  void Redrive(std::vector<StoredDeadLetter>, int,
               std::function<void(absl::StatusOr<std::int64_t>)>) override {}
  void Cancel(const DeliveryKey&, std::function<void(CancelVerdict)>) override {}
  void Purged(const std::vector<StoredDeadLetter>&) override {}
  void StartReplay(const StoredReplay&) override {}
  void SetReplayPaused(const std::string&, bool) override {}
  void EndReplay(const std::string&) override {}
  void CountMatches(const std::string&, Sequence, Sequence,
                    std::function<void(absl::StatusOr<std::int64_t>)>) override {}

  void set_progress(std::optional<SubscriptionProgress> progress) {
    progress_ = std::move(progress);
  }
  const std::vector<Subscription>& changes() const { return changes_; }

 private:
  std::optional<SubscriptionProgress> progress_;
  std::vector<Subscription> changes_;
};

// A catalog over all of them.
class CatalogTest : public testing::Test {
 protected:
  CatalogTest() { catalog_.Connect(delivery_); }

  static Subscription Wanted(const std::string& id = "orders") {
    Subscription subscription;
    subscription.space = "shop";
    subscription.id = id;
    subscription.event_type = "order.paid";
    subscription.function = "bill";
    return subscription;
  }
  SubscriptionCatalog::Done Note() {
    const std::size_t at = answers_.size();
    answers_.emplace_back();
    return [this, at](const absl::StatusOr<SubscriptionCatalog::Changed>& changed) {
      EXPECT_FALSE(answers_[at].has_value()) << "answered twice";
      answers_[at] = changed.status();
      if (changed.ok()) changed_ = *changed;
    };
  }
  void Create(const std::string& id = "orders") { Create({Wanted(id), false, ""}); }
  void Create(SubscriptionCatalog::CreateRequest request) {
    catalog_.Create(std::move(request), Note());
  }
  void Edit(std::function<void(Subscription&)> edit) {
    catalog_.Update({"shop", "orders", "", false,
                     [edit](Subscription& subscription) {
                       edit(subscription);
                       return absl::OkStatus();
                     }},
                    Note());
  }
  void Rematch() {
    Edit([](Subscription& subscription) { subscription.event_type += "x"; });
  }
  void Delete() { catalog_.Delete({"shop", "orders", "", false}, Note()); }
  void Created() {
    Create();
    for (const char* step : {"acquire", "save 1", "append 1", "activate 1"}) steps_.Reply(step);
  }
  // Answers these steps, which must come in this order, with OK.
  void Reply(std::initializer_list<const char*> steps) {
    for (const char* step : steps) steps_.Reply(step);
  }
  // The field that the last answer is about.
  std::string field() const {
    const auto violations = FieldViolationsOf(answers_.back().value_or(absl::OkStatus()));
    return violations.empty() ? "" : violations.front().field;
  }
  // The last mutation's answer; none when it waits.
  std::optional<absl::StatusCode> answer() const {
    if (!answers_.back()) return std::nullopt;
    return answers_.back()->code();
  }

  Steps steps_;
  FakeClock clock_;
  ManualLog log_{steps_};
  ManualStore store_{steps_};
  ManualReferences references_{steps_};
  IdleDelivery delivery_;
  std::deque<std::function<void()>> blocking_;  // Work that was handed over.
  bool blocking_full_ = false;
  SubscriptionCatalog catalog_{log_, store_, references_, clock_,
                               [this](std::function<void()> job) {
                                 if (!blocking_full_) blocking_.push_back(std::move(job));
                                 return !blocking_full_;
                               }};
  SubscriptionCatalog::Changed changed_;  // The last successful answer.
  std::deque<std::optional<absl::Status>> answers_;
};

}  // namespace penstock::broker
