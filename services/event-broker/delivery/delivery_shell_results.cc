// Ends of attempts, and what is published because of them.
#include <algorithm>
#include <iterator>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/delivery/delivery_shell.h"
#include "services/event-broker/delivery/outgoing_event.h"

namespace penstock::broker {
namespace {

using namespace std::chrono_literals;

constexpr Microseconds kPublishAgainAfter = 200ms;
// Of one call of Append, which the log's queue takes as a whole or not at all.
constexpr std::size_t kAppendEvents = 1024;
constexpr std::size_t kAppendBytes = 4u << 20;

}  // namespace

void DeliveryShell::TakeResults(std::vector<DeliveryResult> results) {
  std::vector<DeliveryResult> ended;
  ended.reserve(results.size());
  for (DeliveryResult& result : results) {
    if (MayReply(result)) {
      PublishReply(std::move(result));
    } else {
      ended.push_back(std::move(result));
    }
  }
  if (!ended.empty()) engine_->Finished(ended, now(), out_);
}

// The end of an attempt that no executor has answered.
void DeliveryShell::Fail(const DeliveryKey& key, int attempt, DeliveryOutcome outcome,
                         DeliveryError error) {
  DeliveryResult result;
  result.key = key;
  result.attempt = attempt;
  result.outcome = outcome;
  result.error = std::move(error);
  failed_.push_back(std::move(result));
}

// Answers of dead-letter sinks are dropped, and so are those to attempts that nobody waits for.
bool DeliveryShell::MayReply(const DeliveryResult& result) const {
  if (result.reply.empty() || result.outcome != DeliveryOutcome::kSucceeded) return false;
  const auto found = engine_->Find(result.key);
  return found && found->place == DeliveryPlace::kInFlight && !found->to_sink &&
         FindSubscription(SubscriptionOfLane(result.key.uid)) != nullptr;
}

void DeliveryShell::PublishReply(DeliveryResult result) {
  if (const auto record = ports_.log.ReadCached(result.key.sequence)) {
    return PublishReply(std::move(result), HopsOf(record->body) + 1);
  }
  auto shared = std::make_shared<DeliveryResult>(std::move(result));
  background_.Run(Background::Lane::kLoad,
                  [this, shared, loader = loader_]() -> Background::Message {
                    // An event that has left the log meanwhile counts as the first of its line.
                    const auto record = loader->Read(shared->key.sequence);
                    const int hops = record.ok() ? HopsOf(record->body) + 1 : 1;
                    return [this, shared, hops] { PublishReply(std::move(*shared), hops); };
                  });
}

// The engine sees the success once the answer is durable, so that it cannot be lost between.
void DeliveryShell::PublishReply(DeliveryResult result, int hops) {
  const Subscription* subscription = FindSubscription(SubscriptionOfLane(result.key.uid));
  if (subscription == nullptr) return;  // Deleted meanwhile: nobody waits.
  if (hops > kHopsMax) {
    result.outcome = DeliveryOutcome::kHopLimit;
    result.error = {"SystemError", "HopLimit", "answers to answers went on too long"};
    failed_.push_back(std::move(result));
    return;
  }
  auto requests = MakeReplies(result.key, *subscription, result.reply, hops);
  const auto refuse = [](DeliveryResult& refused, const absl::Status& status) {
    std::string message(status.message());
    for (const FieldViolation& violation : FieldViolationsOf(status)) {
      message = violation.field + " " + violation.description;
    }
    refused.outcome = DeliveryOutcome::kPermanent;
    refused.error = {"FunctionError", "InvalidReply", std::move(message)};
  };
  if (!requests.ok()) refuse(result, requests.status());
  if (!requests.ok() || requests->empty()) {
    failed_.push_back(std::move(result));
    return;
  }
  PublishAll(*std::move(requests),
             [this, refuse, result = std::move(result)](const absl::Status& status) {
               DeliveryResult ended = result;
               if (status.ok()) {
                 ++stats_.replies;
               } else {
                 refuse(ended, status);
               }
               failed_.push_back(std::move(ended));
             });
}

void DeliveryShell::PublishAll(std::vector<AppendRequest> requests,
                               std::function<void(const absl::Status&)> done) {
  struct Waiting {
    std::size_t left = 0;
    absl::Status status;
    std::function<void(const absl::Status&)> done;
  };
  const auto waiting =
      std::make_shared<Waiting>(Waiting{requests.size(), absl::OkStatus(), std::move(done)});
  for (AppendRequest& request : requests) {
    Publish({std::move(request), [waiting](const AppendResult& published) {
               if (published.verdict == AppendVerdict::kFailed) waiting->status = published.status;
               if (--waiting->left == 0) waiting->done(waiting->status);
             }});
  }
}

void DeliveryShell::Publish(Publication publication) {
  publication.request.is_internal = true;
  publications_.push_back(std::move(publication));
}

// What the log cannot take now waits: each is bounded by a delivery that is in flight meanwhile.
void DeliveryShell::FlushPublications() {
  if (publish_again_at_ && ports_.clock.Monotonic() < *publish_again_at_) return;
  publish_again_at_.reset();
  std::vector<Publication> waiting = std::exchange(publications_, {});
  auto next = waiting.begin();
  while (next != waiting.end()) {
    auto end = next;
    std::size_t bytes = 0;
    while (end != waiting.end() && static_cast<std::size_t>(end - next) < kAppendEvents) {
      bytes += end->request.body.size();
      if (end != next && bytes > kAppendBytes) break;
      ++end;
    }
    const auto sent = std::make_shared<std::vector<Publication>>(std::make_move_iterator(next),
                                                                 std::make_move_iterator(end));
    if (!AppendPublications(sent)) {
      std::move(sent->begin(), sent->end(), next);
      publications_.insert(publications_.begin(), std::make_move_iterator(next),
                           std::make_move_iterator(waiting.end()));
      publish_again_at_ = ports_.clock.Monotonic() + kPublishAgainAfter;
      return;
    }
    next = end;
  }
}

// False when the log cannot take them now; then nothing has happened.
bool DeliveryShell::AppendPublications(const std::shared_ptr<std::vector<Publication>>& sent) {
  std::vector<AppendRequest> requests;
  requests.reserve(sent->size());
  for (const Publication& publication : *sent) requests.push_back(publication.request);
  const absl::Status queued =
      ports_.log.Append(std::move(requests), [this, sent](std::vector<AppendResult> results) {
        background_.Post(
            [this, sent, results = std::move(results)] { TakePublished(sent, results); });
      });
  return queued.ok();
}

void DeliveryShell::TakePublished(const std::shared_ptr<std::vector<Publication>>& publications,
                                  const std::vector<AppendResult>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool again =
        results[i].verdict == AppendVerdict::kFailed && !absl::IsInvalidArgument(results[i].status);
    if (!again) {
      (*publications)[i].done(results[i]);
      continue;
    }
    publications_.push_back(std::move((*publications)[i]));
    publish_again_at_ = ports_.clock.Monotonic() + kPublishAgainAfter;
  }
}

}  // namespace penstock::broker
