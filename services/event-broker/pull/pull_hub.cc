#include "services/event-broker/pull/pull_hub.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace penstock::broker {
namespace {

// The thread looks at the clock at least so often.
constexpr Microseconds kIdle{1'000'000};

}  // namespace

PullHub::PullHub(Subscriptions subscriptions, const Clock& clock, Options options)
    : subscriptions_(std::move(subscriptions)),
      clock_(clock),
      options_(options),
      check_at_(clock.Monotonic() + options.check_interval) {}

PullHub::~PullHub() { Stop(); }

void PullHub::Start(Listener listener) {
  listener_ = std::move(listener);
  const std::lock_guard lock(mutex_);
  started_ = true;
  if (!options_.own_thread) return;
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "pull");
}

void PullHub::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    const MonotonicTime now = clock_.Monotonic();
    for (const auto& [uid, group] : groups_) {
      group->EndAll(absl::UnavailableError("the event-broker is stopping"), now, news_);
      group->ReturnAll(now, news_);
    }
    groups_.clear();
    due_.clear();
    due_of_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Tick();
  }
}

PullHub::Demand PullHub::DemandFor(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto at = groups_.find(uid);
  if (at == groups_.end()) return {};
  return {at->second->consumers(), at->second->FreeCredit()};
}

PullGroup& PullHub::GroupOf(const std::string& uid, const std::string& name) {
  std::unique_ptr<PullGroup>& group = groups_[uid];
  if (group == nullptr) group = std::make_unique<PullGroup>(uid, name, stats_);
  return *group;
}

void PullHub::AfterStep(PullGroup& group) {
  const std::string& uid = group.uid();
  const auto known = due_of_.find(uid);
  const std::optional<MonotonicTime> due = group.next_due();
  if (known != due_of_.end() && known->second != due) {
    due_.erase({known->second, uid});
    due_of_.erase(known);
  }
  if (due && due_of_.emplace(uid, *due).second) due_.emplace(*due, uid);
  // What is free of one that is forgotten here is told as 0.
  if (group.idle()) groups_.erase(std::string(uid));
}

void PullHub::With(const std::string& uid, const Step& step) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const auto at = groups_.find(uid);
    if (at == groups_.end()) return;
    const auto due_before = due_.empty() ? MonotonicTime::max() : due_.begin()->first;
    step(*at->second, clock_.Monotonic(), news_);
    AfterStep(*at->second);
    wake = !news_.empty() || (!due_.empty() && due_.begin()->first < due_before);
  }
  if (wake) wake_.notify_one();
}

void PullHub::Send(std::vector<PullOrder> orders) {
  std::vector<DeliveryResult> returned;
  {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.Monotonic();
    PullNews stopped;
    std::set<std::string> uids;
    for (PullOrder& order : orders) {
      const std::string uid(SubscriptionOfLane(order.key.uid));
      PullGroup& group = GroupOf(uid, order.subscription);
      group.Give(std::move(order), now, stopping_ ? stopped : news_);
      if (stopping_) group.ReturnAll(now, stopped);
      uids.insert(uid);
    }
    for (const std::string& uid : uids) AfterStep(*groups_.at(uid));
    returned = std::move(stopped.results);
  }
  // The thread that would tell may have ended.
  if (!returned.empty()) return listener_.on_results(std::move(returned));
  wake_.notify_one();
}

void PullHub::Cancel(const DeliveryKey& key, int attempt) {
  With(std::string(SubscriptionOfLane(key.uid)),
       [&](PullGroup& group, MonotonicTime now, PullNews& news) {
         group.Cancel(key, attempt, now, news);
       });
  // Most are cancelled because their subscription was deleted.
  {
    const std::lock_guard lock(mutex_);
    check_now_ = true;
  }
  wake_.notify_one();
}

// Ends the consumers of subscriptions that are not there or not pulled any more. The credit of the
// others is told again: delivery may have learnt of a subscription after its first consumers
// joined.
void PullHub::CheckSubscriptions() {
  std::vector<std::string> uids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, group] : groups_) {
      if (group->consumers() == 0) continue;
      uids.push_back(uid);
      news_.credit.insert(uid);
    }
  }
  for (const std::string& uid : uids) {
    const auto found = subscriptions_.find(uid);
    if (found && found->pull) continue;
    With(uid, [&](PullGroup& group, MonotonicTime now, PullNews& news) {
      group.EndAll(found ? absl::FailedPreconditionError("subscription \"" + group.name() +
                                                         "\" is not pulled any more")
                         : absl::NotFoundError("subscription \"" + group.name() +
                                               "\" not found: it was deleted"),
                   now, news);
    });
  }
}

bool PullHub::Work() {
  const MonotonicTime now = clock_.Monotonic();
  return stopping_ || check_now_ || !news_.empty() || check_at_ <= now ||
         (!due_.empty() && due_.begin()->first <= now);
}

void PullHub::Tick() {
  bool check = false;
  {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.Monotonic();
    while (!due_.empty() && due_.begin()->first <= now) {
      PullGroup& group = *groups_.at(due_.begin()->second);
      group.Tick(now, news_);
      AfterStep(group);
    }
    check = !stopping_ && (std::exchange(check_now_, false) || check_at_ <= now);
    if (check) check_at_ = now + options_.check_interval;
  }
  if (check) CheckSubscriptions();
  // What is told may have consequences that are told too: at most a few rounds at a time.
  for (int round = 0; round < 8; ++round) {
    PullNews news;
    std::map<std::string, std::size_t> credit;
    {
      const std::lock_guard lock(mutex_);
      if (!started_ || news_.empty()) return;
      news = std::exchange(news_, {});
      std::erase_if(news.ready, [](const auto& entry) { return !entry.second->joined; });
      for (const std::string& uid : news.credit) {
        const auto at = groups_.find(uid);
        credit[uid] = at == groups_.end() ? 0 : at->second->FreeCredit();
      }
    }
    Tell(std::move(news), credit);
  }
}

void PullHub::Tell(PullNews news, const std::map<std::string, std::size_t>& credit) {
  // Credit first: what comes back of a consumer that left must not be sent against its credit.
  for (const auto& [uid, free] : credit) listener_.on_credit(uid, free);
  if (!news.results.empty()) listener_.on_results(std::move(news.results));
  for (const auto& [id, member] : news.ready) member->handlers.on_ready();
  for (const auto& [member, status] : news.ended) member->handlers.on_end(status);
}

void PullHub::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const MonotonicTime now = clock_.Monotonic();
      MonotonicTime until = std::min(now + kIdle, check_at_);
      if (!due_.empty()) until = std::min(until, due_.begin()->first);
      const auto wait = std::max(until - now, Microseconds(0));
      wake_.wait_for(lock, wait, [this] { return Work(); });
      if (stopping_ && news_.empty()) return;
    }
    Tick();
  }
}

}  // namespace penstock::broker
