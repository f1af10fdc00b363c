// The consumers' side of the hub.
#include <fmt/format.h>

#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/pull/pull_hub.h"

namespace penstock::broker {

// Forwards to the group of its subscription, as long as that is.
class PullHub::Consumer final : public PullConsumer {
 public:
  Consumer(PullHub& hub, std::string uid, PullMemberPtr member)
      : hub_(hub), uid_(std::move(uid)), member_(std::move(member)) {}

  ~Consumer() override {
    Do([this](PullGroup& group, MonotonicTime now, PullNews& news) {
      group.Leave(*member_, now, news);
    });
  }

  absl::Status AddCredit(std::int64_t events) override {
    if (events < 0) return FieldError("credit", "must not be negative");
    absl::Status status;
    Do([&](PullGroup& group, MonotonicTime now, PullNews& news) {
      const std::size_t pending =
          member_->options.renew_credit ? member_->out.size() : member_->outbox.size();
      const std::int64_t has =
          member_->credit + member_->credit_unread + static_cast<std::int64_t>(pending);
      if (events > kPullCreditMax - has) {
        status = absl::ResourceExhaustedError(
            fmt::format("credit: a consumer has at most {}", kPullCreditMax));
        return;
      }
      group.AddCredit(*member_, events, now, news);
    });
    return status;
  }

  std::vector<PulledEvent> Take(std::size_t events_max, std::size_t bytes_max) override {
    std::vector<PulledEvent> taken;
    Do([&](PullGroup& group, MonotonicTime now, PullNews& news) {
      taken = group.Take(*member_, events_max, bytes_max, now, news);
    });
    return taken;
  }

  void Acknowledge(const std::vector<std::string>& delivery_ids) override {
    if (delivery_ids.empty()) return;
    Do([&](PullGroup& group, MonotonicTime now, PullNews& news) {
      for (const std::string& id : delivery_ids) group.Acknowledge(id, member_.get(), now, news);
    });
  }

  void Reject(const std::vector<PullRejection>& rejections) override {
    if (rejections.empty()) return;
    Do([&](PullGroup& group, MonotonicTime now, PullNews& news) {
      for (const PullRejection& rejection : rejections) {
        group.Reject(rejection, member_.get(), now, news);
      }
    });
  }

  void Extend(const std::vector<std::string>& delivery_ids) override {
    if (delivery_ids.empty()) return;
    Do([&](PullGroup& group, MonotonicTime now, PullNews&) {
      for (const std::string& id : delivery_ids) group.Extend(id, member_.get(), now);
    });
  }

  void Detach() override {
    Do([this](PullGroup& group, MonotonicTime now, PullNews& news) {
      group.Detach(*member_, now, news);
    });
  }

 private:
  void Do(const Step& step) { hub_.With(uid_, step); }

  PullHub& hub_;
  const std::string uid_;
  const PullMemberPtr member_;
};

absl::StatusOr<Subscription> PullHub::FindPulled(const std::string& subscription) const {
  ASSIGN_OR_RETURN(const ResourceName name,
                   ParseResourceName("subscription", "subscriptions", subscription));
  ASSIGN_OR_RETURN(Subscription found, subscriptions_.get(name.space, name.id));
  if (!found.pull) {
    return absl::FailedPreconditionError(
        fmt::format("subscription: \"{}\" is not pulled: its events go to {}", subscription,
                    found.group ? "a group of functions" : "a function"));
  }
  return found;
}

absl::StatusOr<std::shared_ptr<PullConsumer>> PullHub::Join(const std::string& subscription,
                                                            const ConsumerOptions& options,
                                                            ConsumerHandlers handlers) {
  ASSIGN_OR_RETURN(const Subscription found, FindPulled(subscription));
  auto member = std::make_shared<PullMember>();
  member->options = options;
  member->handlers = std::move(handlers);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::UnavailableError("the event-broker is stopping");
    PullGroup& group = GroupOf(found.uid, found.Name());
    if (group.consumers() >= kPullConsumersMax) {
      return absl::ResourceExhaustedError(fmt::format(
          "subscription: \"{}\" has {} consumers already", subscription, kPullConsumersMax));
    }
    member->id = next_member_++;
    group.Join(member, clock_.Monotonic(), news_);
    AfterStep(group);
  }
  wake_.notify_one();
  return std::make_shared<Consumer>(*this, found.uid, std::move(member));
}

absl::StatusOr<std::vector<std::string>> PullHub::Acknowledge(
    const std::string& subscription, const std::vector<std::string>& delivery_ids) {
  ASSIGN_OR_RETURN(const Subscription found, FindPulled(subscription));
  std::vector<std::string> unknown = delivery_ids;
  With(found.uid, [&](PullGroup& group, MonotonicTime now, PullNews& news) {
    std::erase_if(unknown,
                  [&](const std::string& id) { return group.Acknowledge(id, nullptr, now, news); });
  });
  return unknown;
}

absl::StatusOr<std::vector<std::string>> PullHub::Reject(
    const std::string& subscription, const std::vector<PullRejection>& rejections) {
  ASSIGN_OR_RETURN(const Subscription found, FindPulled(subscription));
  std::vector<std::string> unknown;
  for (const PullRejection& rejection : rejections) unknown.push_back(rejection.delivery_id);
  With(found.uid, [&](PullGroup& group, MonotonicTime now, PullNews& news) {
    unknown.clear();
    for (const PullRejection& rejection : rejections) {
      if (!group.Reject(rejection, nullptr, now, news)) unknown.push_back(rejection.delivery_id);
    }
  });
  return unknown;
}

absl::StatusOr<std::vector<std::string>> PullHub::Extend(
    const std::string& subscription, const std::vector<std::string>& delivery_ids) {
  ASSIGN_OR_RETURN(const Subscription found, FindPulled(subscription));
  std::vector<std::string> unknown = delivery_ids;
  With(found.uid, [&](PullGroup& group, MonotonicTime now, PullNews&) {
    std::erase_if(unknown, [&](const std::string& id) { return group.Extend(id, nullptr, now); });
  });
  return unknown;
}

}  // namespace penstock::broker
