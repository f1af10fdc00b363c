#include "services/event-broker/api/explain.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/event_reader.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using Explanation = pb::SubscriptionExplanation;

// Subscriptions that the catalog looks at under its lock at a time.
constexpr std::size_t kUidsPerStep = 256;

Microseconds ThreadCpuTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Microseconds(time.tv_sec * 1'000'000 + time.tv_nsec / 1'000);
}

std::string Describe(const pb::ExplainEventRequest& request) {
  pb::ExplainEventRequest description = request;
  description.clear_page_token();
  return description.SerializeAsString();
}

Explanation::DeliveryState StateOf(DeliveryPlace place) {
  switch (place) {
    case DeliveryPlace::kDone: return Explanation::DELIVERED;
    case DeliveryPlace::kNotReached: return Explanation::NOT_REACHED;
    case DeliveryPlace::kWaiting: return Explanation::WAITING;
    case DeliveryPlace::kHeld: return Explanation::HELD;
    case DeliveryPlace::kInFlight: return Explanation::IN_FLIGHT;
    case DeliveryPlace::kRetrying: return Explanation::RETRYING;
  }
  return Explanation::DELIVERY_STATE_UNSPECIFIED;
}

void AddAttempts(const std::vector<AttemptRecord>& log, Explanation& one) {
  pb::DeadLetter attempts;
  attempts.ParseFromString(SerializeAttempts(log));
  one.mutable_attempts()->Swap(attempts.mutable_attempt_log());
  if (one.attempts_size() == 0) return;
  *one.mutable_last_error() = one.attempts().rbegin()->error();
}

}  // namespace

// An answer whose deliveries are being asked for. Each slot is written by one callback; the last
// one answers.
struct Explainer::Job {
  struct Found {
    std::optional<DeliveryWhereabouts> whereabouts;
    absl::StatusOr<StoredDeadLetter> letter = absl::NotFoundError("");
  };

  Page page;
  std::vector<Found> found;  // As `page.considered`.
  std::atomic<std::size_t> waiting = 0;
  Done done;

  Explanation Describe(std::size_t index, const SubscriptionCatalog& catalog) const;
  void AnswerWhenComplete(const SubscriptionCatalog& catalog);
};

Explainer::Limits Explainer::DefaultLimits() {
  Limits limits;
  limits.cpu_time = ThreadCpuTime;
  return limits;
}

// The event is published again under the sink's type with a source and an id that say of what.
bool Explainer::WasSunk(const Subscription& subscription, const EventRecord& event) const {
  const auto current = ports_.catalog.FindByUid(subscription.uid);
  const std::string& type = (current ? *current : subscription).dead_letter_sink.event_type;
  if (type.empty()) return false;
  const FindByIdRequest find{std::string(event.space),
                             DeliveryKey{subscription.uid, event.sequence}.Id(),
                             "/spaces/" + std::string(event.space) + "/deadLetters", 1};
  const auto records = ports_.log.FindById(find);
  return records.ok() && !records->empty();
}

absl::Status Explainer::ConsiderAll(const pb::ExplainEventRequest& request, const std::string& only,
                                    std::string after, Page& page) const {
  const Microseconds cpu_end = limits_.cpu_time() + limits_.cpu_max;
  const CloudEventAttributes attributes(page.event);
  const EventView view{page.event.space, page.event.type, &attributes};
  for (;;) {
    const auto history = ports_.catalog.InForce(std::string(page.event.space), page.event.sequence,
                                                after, kUidsPerStep);
    for (const auto& revision : history.revisions) {
      const Subscription& subscription = revision->subscription;
      after = subscription.uid;
      if (!only.empty() && subscription.id != only) continue;
      Trace trace = TraceMatch(subscription.event_type, subscription.filters, view);
      if (trace.type_matched || request.all() || !only.empty()) {
        const bool sunk = trace.matched && WasSunk(subscription, page.event);
        page.considered.push_back({revision, std::move(trace), sunk});
      }
      const bool is_full =
          page.considered.size() >= limits_.listed_max || limits_.cpu_time() >= cpu_end;
      if (is_full) {
        page.next_page_token = MakePageToken(Describe(request), after);
        return absl::OkStatus();
      }
    }
    if (history.next.empty()) return absl::OkStatus();
    after = history.next;
  }
}

absl::StatusOr<Explainer::Page> Explainer::Evaluate(const pb::ExplainEventRequest& request) const {
  Page page;
  ASSIGN_OR_RETURN(const std::string after,
                   ParsePageToken(Describe(request), request.page_token()));
  ASSIGN_OR_RETURN(
      page.event, FindEvent(ports_.log, rules_, {request.space(), request.id(), request.source()}));
  std::string only;
  if (!request.subscription().empty()) {
    ASSIGN_OR_RETURN(only, ParseReference("subscription", "subscriptions", page.event.space,
                                          request.subscription()));
  }
  RETURN_IF_ERROR(ConsiderAll(request, only, after, page));
  std::stable_sort(
      page.considered.begin(), page.considered.end(),
      [](const Considered& a, const Considered& b) { return a.trace.matched > b.trace.matched; });
  return page;
}

void Explainer::Explain(const pb::ExplainEventRequest& request, Done done) const {
  auto page = Evaluate(request);
  if (!page.ok()) return done(page.status());
  auto job = std::make_shared<Job>();
  job->page = *std::move(page);
  job->done = std::move(done);
  job->found.resize(job->page.considered.size());
  std::size_t matched = 0;
  for (const Considered& one : job->page.considered) matched += one.trace.matched ? 1 : 0;
  job->waiting = matched + 1;
  for (std::size_t i = 0; i < matched; ++i) {  // They come first.
    const DeliveryKey key{job->page.considered[i].revision->subscription.uid,
                          job->page.event.sequence};
    // One after the other: a delivery that ends in between is seen as it was before.
    ports_.delivery.FindDelivery(
        key, [this, job, i, key](std::optional<DeliveryWhereabouts> whereabouts) {
          job->found[i].whereabouts = std::move(whereabouts);
          ports_.dead_letters.GetDeadLetter(
              key, [this, job, i](absl::StatusOr<StoredDeadLetter> letter) {
                job->found[i].letter = std::move(letter);
                job->AnswerWhenComplete(ports_.catalog);
              });
        });
  }
  job->AnswerWhenComplete(ports_.catalog);
}

void Explainer::Job::AnswerWhenComplete(const SubscriptionCatalog& catalog) {
  if (waiting.fetch_sub(1) != 1) return;
  for (const Found& one : found) {
    if (!one.letter.ok() && !absl::IsNotFound(one.letter.status())) {
      return done(one.letter.status());
    }
  }
  pb::ExplainEventResponse response;
  auto event = ToProto(page.event);
  if (!event.ok()) return done(event.status());
  *response.mutable_event() = *std::move(event);
  for (std::size_t i = 0; i < page.considered.size(); ++i) {
    *response.add_subscriptions() = Describe(i, catalog);
  }
  response.set_next_page_token(page.next_page_token);
  done(std::move(response));
}

Explanation Explainer::Job::Describe(std::size_t index, const SubscriptionCatalog& catalog) const {
  const Considered& considered = page.considered[index];
  const Subscription& then = considered.revision->subscription;
  Explanation one;
  one.set_subscription(then.Name());
  one.set_subscription_uid(then.uid);
  one.set_revision(then.match_revision);
  one.set_matched(considered.trace.matched);
  one.set_clause(considered.trace.Clause());
  if (!considered.trace.matched) return one;
  one.set_delivery_id(DeliveryKey{then.uid, page.event.sequence}.Id());
  const auto current = catalog.FindByUid(then.uid);
  const auto& [whereabouts, letter] = found[index];
  const bool is_over = !whereabouts || whereabouts->place == DeliveryPlace::kDone;
  if (is_over && letter.ok()) {
    one.set_delivery_state(Explanation::DEAD_LETTER);
    one.set_attempt_count(letter->delivery.attempts);
    AddAttempts(letter->delivery.log, one);
  } else if (is_over && considered.sent_to_sink) {
    one.set_delivery_state(Explanation::DEAD_LETTER);
  } else if (whereabouts) {
    one.set_delivery_state(StateOf(whereabouts->place));
    one.set_attempt_count(whereabouts->attempts_sent);
    one.set_waits_for(WaitsFor(*whereabouts, current ? *current : then, page.event.sequence));
    if (whereabouts->due) SetTimestamp(*whereabouts->due, one.mutable_due_time());
    AddAttempts(whereabouts->log, one);
  } else if (current) {
    one.set_delivery_state(Explanation::NOT_REACHED);
    one.set_waits_for("the subscription to take effect");
  } else {
    one.set_delivery_state(Explanation::DROPPED);
  }
  return one;
}

}  // namespace penstock::broker
