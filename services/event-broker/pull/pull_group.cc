#include "services/event-broker/pull/pull_group.h"

#include <algorithm>
#include <utility>

namespace penstock::broker {
namespace {

constexpr Microseconds kAckTimeoutDefault{30'000'000};
constexpr std::size_t kAvoidMax = 4096;

// As the executors name what is nobody's fault but the system's.
constexpr char kSystemError[] = "SystemError";
constexpr char kFunctionError[] = "FunctionError";

DeliveryResult Ended(DeliveryOutcome outcome, const char* category, const char* type,
                     std::string message) {
  DeliveryResult result;
  result.outcome = outcome;
  result.error = {category, type, std::move(message)};
  return result;
}

DeliveryResult NotStarted() {
  return Ended(DeliveryOutcome::kRejected, kSystemError, "NoConsumer",
               "no consumer had credit for it");
}

DeliveryResult Lost() {
  return Ended(DeliveryOutcome::kUnknown, kSystemError, "ConsumerLost",
               "the consumer left without acknowledging it");
}

}  // namespace

std::size_t PullGroup::FreeCredit() const {
  const auto waiting = static_cast<std::int64_t>(waiting_count_);
  return static_cast<std::size_t>(std::max<std::int64_t>(0, credit_ - waiting));
}

std::optional<MonotonicTime> PullGroup::next_due() const {
  std::optional<MonotonicTime> next;
  if (!due_.empty()) next = due_.begin()->first;
  if (!waits_due_.empty() && (!next || waits_due_.begin()->first < *next)) {
    next = waits_due_.begin()->first;
  }
  return next;
}

PullMember* PullGroup::Find(std::uint64_t member) {
  const auto at = members_.find(member);
  return at == members_.end() ? nullptr : at->second.get();
}

// Of a member that has joined; all changes of credit come through here.
void PullGroup::SetCredit(PullMember& member, std::int64_t credit, PullNews& news) {
  ranking_.erase(RankOf(member));
  credit_ += credit - member.credit;
  member.credit = credit;
  if (credit > 0) ranking_.insert(RankOf(member));
  news.credit.insert(uid_);
}

void PullGroup::Join(const PullMemberPtr& member, MonotonicTime now, PullNews& news) {
  members_.emplace(member->id, member);
  member->joined = true;
  ++stats_.consumers;
  if (member->options.wait.count() > 0) {
    member->wait_until = now + member->options.wait;
    waits_due_.emplace(*member->wait_until, member->id);
  }
  news.credit.insert(uid_);
}

void PullGroup::Remove(PullMember& member, PullNews& news) {
  SetCredit(member, 0, news);
  if (member.wait_until) waits_due_.erase({*member.wait_until, member.id});
  member.joined = false;
  --stats_.consumers;
  members_.erase(member.id);
}

void PullGroup::PutBackUntaken(PullMember& member, MonotonicTime now) {
  // From the last one on, so that the first one is in front in the end.
  for (auto id = member.outbox.rbegin(); id != member.outbox.rend(); ++id) {
    const auto at = deliveries_.find(*id);
    if (at == deliveries_.end() || at->second.place != Place::kGiven ||
        at->second.holder != member.id) {
      continue;
    }
    member.out.erase(*id);
    Wait(at, /*first=*/true, now);
  }
  member.outbox.clear();
}

void PullGroup::Leave(PullMember& member, MonotonicTime now, PullNews& news) {
  if (!member.joined) return;
  const auto keep = members_.at(member.id);
  Remove(member, news);
  PutBackUntaken(member, now);
  for (const std::string& id : std::exchange(member.out, {})) {
    const auto at = deliveries_.find(id);
    if (at == deliveries_.end() || at->second.holder != member.id) continue;
    ++stats_.lost;
    Finish(at, Lost(), now, news);
  }
  Dispatch(now, news);
}

void PullGroup::Detach(PullMember& member, MonotonicTime now, PullNews& news) {
  if (!member.joined) return;
  const auto keep = members_.at(member.id);
  Remove(member, news);
  PutBackUntaken(member, now);
  for (const std::string& id : std::exchange(member.out, {})) {
    const auto at = deliveries_.find(id);
    if (at != deliveries_.end() && at->second.holder == member.id) at->second.holder = 0;
  }
  Dispatch(now, news);
}

void PullGroup::AddCredit(PullMember& member, std::int64_t events, MonotonicTime now,
                          PullNews& news) {
  if (!member.joined || events == 0) return;
  SetCredit(member, member.credit + events, news);
  Dispatch(now, news);
}

std::vector<PulledEvent> PullGroup::Take(PullMember& member, std::size_t events_max,
                                         std::size_t bytes_max, MonotonicTime now, PullNews& news) {
  std::vector<PulledEvent> taken;
  if (!member.joined) return taken;
  if (member.credit_unread > 0) {
    SetCredit(member, member.credit + std::exchange(member.credit_unread, 0), news);
    Dispatch(now, news);
  }
  std::size_t bytes = 0;
  while (!member.outbox.empty() && taken.size() < events_max) {
    const auto at = deliveries_.find(member.outbox.front());
    if (at == deliveries_.end() || at->second.place != Place::kGiven ||
        at->second.holder != member.id) {
      member.outbox.pop_front();
      continue;
    }
    Delivery& delivery = at->second;
    const std::size_t size = delivery.order.event.size();
    if (!taken.empty() && bytes + size > bytes_max) break;
    if (member.options.renew_credit && member.out_bytes > 0 &&
        member.out_bytes + size > kRenewingBytesMax) {
      break;
    }
    bytes += size;
    member.out_bytes += size;
    SetPlace(delivery, Place::kTaken);
    const PullOrder& order = delivery.order;
    taken.push_back({at->first, order.attempt, order.key.sequence, order.append_time, order.event,
                     order.replay});
    member.outbox.pop_front();
  }
  return taken;
}

void PullGroup::EndAll(const absl::Status& status, MonotonicTime now, PullNews& news) {
  while (!members_.empty()) {
    const PullMemberPtr member = members_.begin()->second;
    Leave(*member, now, news);
    news.ended.emplace_back(member, status);
  }
}

void PullGroup::SetPlace(Delivery& delivery, Place place) {
  if (delivery.place == Place::kWaiting) {
    --waiting_count_;
    --stats_.waiting;
  } else {
    --stats_.out;
  }
  delivery.place = place;
  if (place == Place::kWaiting) {
    ++waiting_count_;
    ++stats_.waiting;
  } else {
    ++stats_.out;
  }
}

void PullGroup::SetDue(Deliveries::iterator at, MonotonicTime due) {
  due_.erase({at->second.due, at->first});
  at->second.due = due;
  due_.emplace(due, at->first);
}

void PullGroup::Wait(Deliveries::iterator at, bool first, MonotonicTime now) {
  SetPlace(at->second, Place::kWaiting);
  at->second.holder = 0;
  at->second.since = now;
  SetDue(at, now + kWaitMax);
  first ? waiting_.push_front(at->first) : waiting_.push_back(at->first);
}

void PullGroup::Give(PullOrder order, MonotonicTime now, PullNews& news) {
  const std::string id = order.key.Id();
  // Who sends it again has given up the attempt before.
  if (const auto before = deliveries_.find(id); before != deliveries_.end()) {
    Release(before, /*timed_out=*/false, news);
  }
  if (order.ack_timeout.count() <= 0) order.ack_timeout = kAckTimeoutDefault;
  const auto at = deliveries_.emplace(id, Delivery{.order = std::move(order)}).first;
  ++waiting_count_;
  ++stats_.waiting;
  Wait(at, /*first=*/false, now);
  Dispatch(now, news);
}

PullMember& PullGroup::Choose(const std::string& id) {
  auto best = ranking_.begin();
  const auto avoided = avoid_.find(id);
  if (avoided != avoid_.end() && std::get<2>(*best) == avoided->second && ranking_.size() > 1) {
    ++best;
  }
  return *members_.at(std::get<2>(*best));
}

void PullGroup::DropStaleWaiting() {
  while (!waiting_.empty()) {
    const auto at = deliveries_.find(waiting_.front());
    if (at != deliveries_.end() && at->second.place == Place::kWaiting) return;
    waiting_.pop_front();
  }
}

void PullGroup::Dispatch(MonotonicTime now, PullNews& news) {
  while (!ranking_.empty()) {
    DropStaleWaiting();
    if (waiting_.empty()) return;
    const auto at = deliveries_.find(waiting_.front());
    waiting_.pop_front();
    GiveTo(Choose(at->first), at, now, news);
  }
}

void PullGroup::GiveTo(PullMember& member, Deliveries::iterator at, MonotonicTime now,
                       PullNews& news) {
  ranking_.erase(RankOf(member));
  --member.credit;
  --credit_;
  member.given_last = ++given_;
  if (member.credit > 0) ranking_.insert(RankOf(member));
  SetPlace(at->second, Place::kGiven);
  at->second.holder = member.id;
  at->second.since = now;
  SetDue(at, now + at->second.order.ack_timeout);
  member.outbox.push_back(at->first);
  member.out.insert(at->first);
  avoid_.erase(at->first);
  news.ready.emplace(member.id, members_.at(member.id));
}

// Forgets a delivery and settles with who has it.
void PullGroup::Release(Deliveries::iterator at, bool timed_out, PullNews& news) {
  const Delivery& delivery = at->second;
  if (delivery.place == Place::kWaiting) {
    --waiting_count_;
    --stats_.waiting;
    news.credit.insert(uid_);
  } else {
    --stats_.out;
  }
  PullMember* holder = delivery.place == Place::kWaiting ? nullptr : Find(delivery.holder);
  if (holder != nullptr) {
    holder->out.erase(at->first);
    const bool taken = delivery.place == Place::kTaken;
    if (taken) holder->out_bytes -= delivery.order.event.size();
    if (!taken && timed_out) {
      ++holder->credit_unread;
    } else if (!taken || holder->options.renew_credit) {
      SetCredit(*holder, holder->credit + 1, news);
    }
    // What was too much for it may go now.
    if (taken && !holder->outbox.empty()) news.ready.emplace(holder->id, members_.at(holder->id));
  }
  due_.erase({delivery.due, at->first});
  deliveries_.erase(at);
}

void PullGroup::Finish(Deliveries::iterator at, DeliveryResult result, MonotonicTime now,
                       PullNews& news) {
  const Delivery& delivery = at->second;
  result.key = delivery.order.key;
  result.attempt = delivery.order.attempt;
  if (delivery.place != Place::kWaiting) result.duration = now - delivery.since;
  const bool timed_out = result.error.type == "AckTimeout";
  news.results.push_back(std::move(result));
  Release(at, timed_out, news);
}

void PullGroup::Cancel(const DeliveryKey& key, int attempt, MonotonicTime now, PullNews& news) {
  const auto at = deliveries_.find(key.Id());
  if (at == deliveries_.end() || at->second.order.attempt != attempt) return;
  Finish(at, at->second.place == Place::kTaken ? Lost() : NotStarted(), now, news);
  Dispatch(now, news);
}

void PullGroup::ReturnAll(MonotonicTime now, PullNews& news) {
  while (!deliveries_.empty()) {
    const auto at = deliveries_.begin();
    Finish(at, at->second.place == Place::kTaken ? Lost() : NotStarted(), now, news);
  }
}

PullGroup::Deliveries::iterator PullGroup::FindOut(const std::string& id, const PullMember* by) {
  const auto at = deliveries_.find(id);
  if (at != deliveries_.end() && at->second.place != Place::kWaiting &&
      (by == nullptr || (by->joined && at->second.holder == by->id))) {
    return at;
  }
  ++stats_.late;
  return deliveries_.end();
}

bool PullGroup::Acknowledge(const std::string& id, const PullMember* by, MonotonicTime now,
                            PullNews& news) {
  const auto at = FindOut(id, by);
  if (at == deliveries_.end()) return false;
  ++stats_.acknowledged;
  Finish(at, {}, now, news);
  Dispatch(now, news);
  return true;
}

bool PullGroup::Reject(const PullRejection& rejection, const PullMember* by, MonotonicTime now,
                       PullNews& news) {
  const auto at = FindOut(rejection.delivery_id, by);
  if (at == deliveries_.end()) return false;
  ++stats_.rejected;
  Avoid(at->first, at->second.holder);
  DeliveryResult result =
      Ended(DeliveryOutcome::kRetryable, kFunctionError, "Rejected",
            rejection.reason.empty() ? "the consumer rejected it" : rejection.reason);
  if (rejection.delay.count() > 0) result.retry_after = rejection.delay;
  Finish(at, std::move(result), now, news);
  Dispatch(now, news);
  return true;
}

bool PullGroup::Extend(const std::string& id, const PullMember* by, MonotonicTime now) {
  const auto at = FindOut(id, by);
  if (at == deliveries_.end()) return false;
  SetDue(at, now + at->second.order.ack_timeout);
  return true;
}

void PullGroup::Avoid(const std::string& id, std::uint64_t member) {
  if (member == 0 || !avoid_.insert_or_assign(id, member).second) return;
  avoid_order_.push_back(id);
  if (avoid_order_.size() <= kAvoidMax) return;
  avoid_.erase(avoid_order_.front());
  avoid_order_.pop_front();
}

void PullGroup::TimeOut(Deliveries::iterator at, MonotonicTime now, PullNews& news) {
  if (at->second.place == Place::kWaiting) {
    Finish(at, NotStarted(), now, news);
    return DropStaleWaiting();
  }
  ++stats_.timed_out;
  Avoid(at->first, at->second.holder);
  Finish(at,
         Ended(DeliveryOutcome::kRetryable, kFunctionError, "AckTimeout",
               "the consumer did not acknowledge it within " +
                   FormatDuration(at->second.order.ack_timeout)),
         now, news);
}

void PullGroup::Tick(MonotonicTime now, PullNews& news) {
  while (!due_.empty() && due_.begin()->first <= now) {
    TimeOut(deliveries_.find(due_.begin()->second), now, news);
  }
  while (!waits_due_.empty() && waits_due_.begin()->first <= now) {
    const auto [due, id] = *waits_due_.begin();
    waits_due_.erase(waits_due_.begin());
    const PullMemberPtr member = members_.at(id);
    member->wait_until.reset();
    // What was given to it a moment ago is on its way: it was told.
    if (!member->out.empty()) continue;
    Leave(*member, now, news);
    news.ended.emplace_back(member, absl::DeadlineExceededError("no event came in time"));
  }
  Dispatch(now, news);
}

}  // namespace penstock::broker
