// What the runner does for the engine: sends, scans, transactions.
#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/log/log.h"
#include "services/event-broker/delivery/delivery_runner.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr Microseconds kCommitAgainAfter = 200ms;

}  // namespace

void DeliveryRunner::Perform() {
  for (ScanOrder& scan : std::exchange(out_.scans, {})) {
    auto history = index_.History(scan.uid);
    catch_up_->Scan(std::move(scan), std::move(history));
  }
  for (const auto& [key, attempt] : std::exchange(out_.cancels, {})) {
    ports_.invoker.Cancel(key, attempt);
  }
  if (!out_.sends.empty()) PerformSends(std::exchange(out_.sends, {}));
  if (out_.transaction) StartCommit(*std::exchange(out_.transaction, std::nullopt));
  if (commit_again_at_ && *commit_again_at_ <= ports_.clock.Monotonic()) {
    commit_again_at_.reset();
    WriteCommit();
  }
}

// Also of subscriptions that were deleted a moment ago.
const Subscription* DeliveryRunner::FindSubscription(const std::string& uid) const {
  for (const auto* known : {&subscriptions_, &removed_}) {
    const auto at = known->find(uid);
    if (at != known->end()) return at->second.get();
  }
  return nullptr;
}

void DeliveryRunner::PerformSends(std::vector<SendOrder> sends) {
  std::vector<InvocationOrder> orders;
  std::vector<ColdSend> cold;
  orders.reserve(sends.size());
  for (const SendOrder& send : sends) {
    auto order = MakeOrder(send);
    if (!order) continue;
    ++sent_;
    if (const auto record = ports_.log.ReadCached(send.key.sequence)) {
      order->event = record->Body();
      orders.push_back(*std::move(order));
    } else {
      cold.push_back({send, *std::move(order)});
    }
  }
  if (!orders.empty()) ports_.invoker.Send(std::move(orders));
  if (cold.empty()) return;
  loader_->Post([this, cold = std::move(cold)]() mutable { SendCold(cold); });
}

// The order for a subscription that still is, without the event.
std::optional<InvocationOrder> DeliveryRunner::MakeOrder(const SendOrder& send) const {
  const auto subscription = subscriptions_.find(send.key.uid);
  if (subscription == subscriptions_.end()) return std::nullopt;
  InvocationOrder order;
  order.key = send.key;
  order.attempt = send.attempt;
  order.function = subscription->second->FunctionName();
  order.subscription = subscription->second->Name();
  order.timeout = subscription->second->timeout;
  order.function_revision_min = subscription->second->function_revision;
  return order;
}

// On the loader's thread.
void DeliveryRunner::SendCold(std::vector<ColdSend>& cold) {
  std::sort(cold.begin(), cold.end(), [](const ColdSend& a, const ColdSend& b) {
    return a.send.key.sequence < b.send.key.sequence;
  });
  std::vector<InvocationOrder> orders;
  for (ColdSend& one : cold) {
    const auto record = loader_->Read(one.send.key.sequence);
    if (record.ok()) {
      one.order.event = record->Body();
      orders.push_back(std::move(one.order));
    } else if (one.send.redriven) {
      SendRedriven(one.send);
    } else {
      FailUnreadable(one.send, record.status());
    }
  }
  if (!orders.empty()) ports_.invoker.Send(std::move(orders));
}

// The event has left the log; its dead letter holds a copy.
void DeliveryRunner::SendRedriven(const SendOrder& send) {
  ports_.store.GetDeadLetter(send.key, [this, send](absl::StatusOr<StoredDeadLetter> letter) {
    Post([this, send, letter = std::move(letter)] {
      auto order = MakeOrder(send);
      if (!order) return;
      if (!letter.ok()) return FailUnreadable(send, letter.status());
      order->event = SharedBytes(letter->event);
      ports_.invoker.Send({*std::move(order)});
    });
  });
}

// Gone or damaged is for good; anything else may pass.
void DeliveryRunner::FailUnreadable(const SendOrder& send, const absl::Status& status) {
  log::Error("an event that is to be delivered cannot be read",
             {{"delivery", send.key.Id()}, {"reason", std::string(status.message())}});
  DeliveryResult result;
  result.key = send.key;
  result.attempt = send.attempt;
  const bool lost =
      absl::IsOutOfRange(status) || absl::IsNotFound(status) || absl::IsDataLoss(status);
  result.outcome = lost ? DeliveryOutcome::kPermanent : DeliveryOutcome::kRejected;
  result.error = {"SystemError", "EventUnreadable", std::string(status.message())};
  Post([this, result] { TakeResults({result}); });
}

void DeliveryRunner::StartCommit(StateTransaction transaction) {
  auto commit = std::make_shared<Commit>();
  bool cold = false;
  for (const DeadDelivery& dead : transaction.dead) {
    commit->dead.push_back(DescribeDead(dead));
    cold = cold || commit->dead.back().event.empty();
  }
  for (const std::string& uid : transaction.forgotten) removed_.erase(uid);
  commit->transaction = std::move(transaction);
  ++transactions_started_;
  if (!cold) {
    commit_ = std::move(commit);
    return WriteCommit();
  }
  loader_->Post([this, commit = std::move(commit)] {
    for (StoredDeadLetter& letter : commit->dead) {
      if (!letter.event.empty()) continue;
      if (const auto record = loader_->Read(letter.delivery.key.sequence); record.ok()) {
        letter.event = std::string(record->body);
        letter.event_id = std::string(record->id);
      }
    }
    Post([this, commit] {
      commit_ = commit;
      WriteCommit();
    });
  });
}

// Without the event when it is not at hand. Where it cannot be read at all, the letter still says
// what was lost, or keeps the copy of before.
StoredDeadLetter DeliveryRunner::DescribeDead(const DeadDelivery& dead) const {
  StoredDeadLetter letter;
  letter.delivery = dead;
  if (const Subscription* subscription = FindSubscription(dead.key.uid)) {
    letter.space = subscription->space;
    letter.subscription = subscription->id;
    letter.function = subscription->function;
  }
  if (const auto record = ports_.log.ReadCached(dead.key.sequence)) {
    letter.event = std::string(record->body);
    letter.event_id = std::string(record->id);
  }
  return letter;
}

void DeliveryRunner::WriteCommit() {
  ports_.store.Commit(commit_->transaction, commit_->dead, [this](const absl::Status& status) {
    Post([this, status] { CommitDone(status); });
  });
}

void DeliveryRunner::CommitDone(const absl::Status& status) {
  if (!status.ok()) {
    // The engine waits: nothing that is not durable is forgotten, and nothing is decided on top of
    // it.
    ++stats_.commit_failures;
    log::Error("delivery state cannot be stored", {{"reason", std::string(status.message())}});
    commit_again_at_ = ports_.clock.Monotonic() + kCommitAgainAfter;
    return;
  }
  commit_.reset();
  std::erase_if(redrives_, [this](const Redriven& redriven) {
    if (redriven.transaction > transactions_started_) return false;
    redriven.done();
    return true;
  });
  engine_->Persisted(now(), out_);
  pin_->MoveTo(engine_->lowest_needed());
}

}  // namespace penstock::broker
