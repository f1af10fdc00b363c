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

absl::StatusOr<EventRecord> DeliveryRunner::ReadRecord(Sequence sequence) {
  if (auto cached = ports_.log.ReadCached(sequence)) return *std::move(cached);
  return ports_.log.Read(sequence);
}

void DeliveryRunner::PerformSends(std::vector<SendOrder> sends) {
  std::vector<InvocationOrder> orders;
  orders.reserve(sends.size());
  for (const SendOrder& send : sends) {
    if (auto order = MakeOrder(send)) orders.push_back(*std::move(order));
  }
  sent_ += orders.size();
  if (!orders.empty()) ports_.invoker.Send(std::move(orders));
}

std::optional<InvocationOrder> DeliveryRunner::MakeOrder(const SendOrder& send) {
  const auto subscription = subscriptions_.find(send.key.uid);
  if (subscription == subscriptions_.end()) return std::nullopt;
  const auto record = ReadRecord(send.key.sequence);
  if (!record.ok()) {
    if (send.redriven) {
      SendRedriven(send);
    } else {
      FailUnreadable(send, record.status());
    }
    return std::nullopt;
  }
  InvocationOrder order;
  order.key = send.key;
  order.attempt = send.attempt;
  order.function = subscription->second->FunctionName();
  order.subscription = subscription->second->Name();
  order.timeout = subscription->second->timeout;
  order.function_revision_min = subscription->second->function_revision;
  order.event = record->Body();
  return order;
}

// The event has left the log; its dead letter holds a copy.
void DeliveryRunner::SendRedriven(const SendOrder& send) {
  ports_.store.GetDeadLetter(send.key, [this, send](absl::StatusOr<StoredDeadLetter> letter) {
    Post([this, send, letter = std::move(letter)] {
      const auto subscription = subscriptions_.find(send.key.uid);
      if (subscription == subscriptions_.end()) return;
      if (!letter.ok()) return FailUnreadable(send, letter.status());
      InvocationOrder order;
      order.key = send.key;
      order.attempt = send.attempt;
      order.function = subscription->second->FunctionName();
      order.subscription = subscription->second->Name();
      order.timeout = subscription->second->timeout;
      order.function_revision_min = subscription->second->function_revision;
      order.event = SharedBytes(letter->event);
      ++sent_;
      ports_.invoker.Send({std::move(order)});
    });
  });
}

void DeliveryRunner::FailUnreadable(const SendOrder& send, const absl::Status& status) {
  log::Error("an event that is to be delivered cannot be read",
             {{"delivery", send.key.Id()}, {"reason", std::string(status.message())}});
  DeliveryResult result;
  result.key = send.key;
  result.attempt = send.attempt;
  result.outcome = DeliveryOutcome::kPermanent;
  result.error = {"SystemError", "EventUnreadable", std::string(status.message())};
  Post([this, result] { TakeResults({result}); });
}

void DeliveryRunner::StartCommit(StateTransaction transaction) {
  auto commit = std::make_shared<Commit>();
  for (const DeadDelivery& dead : transaction.dead) commit->dead.push_back(DescribeDead(dead));
  commit->transaction = std::move(transaction);
  commit_ = std::move(commit);
  std::move(redrives_waiting_.begin(), redrives_waiting_.end(),
            std::back_inserter(redrives_committing_));
  redrives_waiting_.clear();
  WriteCommit();
}

// Without the event when it cannot be read: the letter still says what was lost.
StoredDeadLetter DeliveryRunner::DescribeDead(const DeadDelivery& dead) {
  StoredDeadLetter letter;
  letter.delivery = dead;
  const auto subscription = subscriptions_.find(dead.key.uid);
  if (subscription != subscriptions_.end()) {
    letter.space = subscription->second->space;
    letter.subscription = subscription->second->id;
    letter.function = subscription->second->function;
  }
  const auto record = ReadRecord(dead.key.sequence);
  if (record.ok()) {
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
  for (const RedriveDone& done : std::exchange(redrives_committing_, {})) done();
  engine_->Persisted(now(), out_);
  pin_->MoveTo(engine_->lowest_needed());
}

}  // namespace penstock::broker
