// The broker's inside, from the catalog to delivery, in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/event-broker/delivery/delivery_runner.h"
#include "services/event-broker/domain/catalog/subscription_catalog.h"
#include "services/event-broker/state/sqlite_state_store.h"
#include "services/event-broker/storage/posix_file_system.h"
#include "services/event-broker/storage/segment_log.h"
#include "tests/unit/services/event-broker/delivery/fake_invoker.h"

namespace penstock::broker {

// Every function exists but "missing".
class FakeReferences final : public FunctionReferences {
 public:
  void Acquire(Reference reference,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override {
    if (reference.function.ends_with("/missing")) return done(absl::NotFoundError("none"));
    ++held;
    done(5);
  }
  void Release(Reference, std::function<void(absl::Status)> done) override {
    --held;
    done(absl::OkStatus());
  }
  void Reconcile(std::vector<Reference>,
                 std::function<void(absl::StatusOr<std::vector<Reference>>)> done) override {
    done(std::vector<Reference>());
  }
  std::atomic<int> held = 0;
};

class RunnerTest : public testing::Test {
 protected:
  using Changed = absl::StatusOr<SubscriptionCatalog::Changed>;

  RunnerTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "broker-delivery-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~RunnerTest() override {
    StopBroker();
    std::filesystem::remove_all(folder_);
  }

  void StartBroker() {
    auto store = SqliteStateStore::Open((folder_ / "state.db").string());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    auto saved = store_->LoadDeliveryState();
    ASSERT_TRUE(saved.ok()) << saved.status();
    log_options_.folder = (folder_ / "log").string();
    log_options_.reserve_bytes = 0;
    log_options_.sequence_floor = saved->matched_through;
    auto log = SegmentLog::Open(log_options_, PosixFiles(), SystemClock());
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
    invoker_ = std::make_unique<FakeInvoker>();
    invoker_->set_answer(answer_);
    invoker_->set_slots_at_start(slots_);
    const auto run_here = [](const std::function<void()>& work) {
      work();
      return true;
    };
    catalog_ =
        std::make_unique<SubscriptionCatalog>(*log_, *store_, references_, SystemClock(), run_here);
    auto revisions = store_->LoadRevisions();
    ASSERT_TRUE(revisions.ok()) << revisions.status();
    catalog_->Load(*std::move(revisions));
    auto replays = store_->LoadReplays();
    ASSERT_TRUE(replays.ok()) << replays.status();
    const auto on_drained = [this](const std::string& uid, Sequence drain_to) {
      catalog_->Drained(uid, drain_to);
    };
    runner_ = std::make_unique<DeliveryRunner>(
        DeliveryPorts{*log_, *store_, *invoker_, nullptr, *catalog_, SystemClock(), on_drained},
        DeliveryOptions{});
    catalog_->Connect(*runner_);
    runner_->Start(
        {*std::move(saved), catalog_->Revisions(), catalog_->All(), *std::move(replays)});
    catalog_->CompletePending();
  }
  // `deadline` 0: what is in flight is left behind, as after a crash of the executors.
  void StopBroker(std::chrono::milliseconds deadline = std::chrono::seconds(2)) {
    if (runner_ == nullptr) return;
    runner_->Stop(deadline);
    log_->Stop();
    store_->Stop();
    runner_.reset();
    catalog_.reset();
    invoker_.reset();
    log_.reset();
    store_.reset();
  }

  static Subscription Wanted(const std::string& id, const std::string& type = "order.paid") {
    Subscription subscription;
    subscription.space = "shop";
    subscription.id = id;
    subscription.event_type = type;
    subscription.function = "bill";
    subscription.retry.attempts_max = 3;
    subscription.retry.delay_initial = std::chrono::milliseconds(1);
    subscription.retry.delay_max = std::chrono::milliseconds(5);
    subscription.in_flight_max = 1024;
    return subscription;
  }
  template <typename Call>
  static Changed WaitFor(const Call& call) {
    std::promise<Changed> answer;
    call([&](Changed changed) { answer.set_value(std::move(changed)); });
    auto future = answer.get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) std::abort();
    return future.get();
  }
  Changed Create(Subscription subscription) {
    return WaitFor([&](auto done) {
      catalog_->Create({std::move(subscription), false, ""}, done);
    });
  }
  Changed Edit(const std::string& id, std::function<void(Subscription&)> edit) {
    return WaitFor([&](auto done) {
      catalog_->Update({"shop", id, "", false,
                        [&](Subscription& subscription) {
                          edit(subscription);
                          return absl::OkStatus();
                        }},
                       done);
    });
  }
  Changed Delete(const std::string& id, bool force = false) {
    return WaitFor([&](auto done) { catalog_->Delete({"shop", id, "", force}, done); });
  }

  // Appends `count` events and gives the last one's sequence.
  Sequence Publish(int count = 1, const std::string& type = "order.paid",
                   const std::string& body = "") {
    std::vector<AppendRequest> requests;
    for (int i = 0; i < count; ++i) {
      AppendRequest request;
      request.space = "shop";
      request.type = type;
      request.source = "/test";
      request.body = SharedBytes(body);
      requests.push_back(std::move(request));
    }
    std::promise<Sequence> last;
    const absl::Status queued = log_->Append(
        std::move(requests),
        [&](const std::vector<AppendResult>& results) { last.set_value(results.back().sequence); });
    EXPECT_TRUE(queued.ok()) << queued;
    return last.get_future().get();
  }

  // Whether it came to hold within ten seconds.
  static bool Eventually(const std::function<bool()>& holds) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  std::optional<SubscriptionProgress> Progress(const std::string& uid) {
    std::promise<std::optional<SubscriptionProgress>> progress;
    runner_->GetProgress(uid, [&](auto given) { progress.set_value(given); });
    return progress.get_future().get();
  }
  std::vector<StoredDeadLetter> DeadLetters() {
    std::promise<std::vector<StoredDeadLetter>> letters;
    DeadLetterQuery query;
    query.space = "shop";
    query.limit = 100;
    store_->ListDeadLetters(
        query, [&](absl::StatusOr<DeadLetterPage> page) { letters.set_value(page->letters); });
    return letters.get_future().get();
  }
  std::int64_t Redrive(std::vector<StoredDeadLetter> letters) {
    std::promise<std::int64_t> count;
    runner_->Redrive(std::move(letters), 0,
                     [&](absl::StatusOr<std::int64_t> given) { count.set_value(*given); });
    auto future = count.get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) std::abort();
    return future.get();
  }

  std::filesystem::path folder_;
  FakeReferences references_;
  FakeInvoker::Answer answer_ = [](const InvocationOrder&) { return DeliveryOutcome::kSucceeded; };
  std::size_t slots_ = 10'000;
  SegmentLogOptions log_options_;
  std::unique_ptr<SqliteStateStore> store_;
  std::unique_ptr<SegmentLog> log_;
  std::unique_ptr<FakeInvoker> invoker_;
  std::unique_ptr<SubscriptionCatalog> catalog_;
  std::unique_ptr<DeliveryRunner> runner_;
};

}  // namespace penstock::broker
