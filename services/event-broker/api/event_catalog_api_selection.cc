// Redrive and purge: what is done to many dead letters.
#include <algorithm>
#include <memory>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/dead_letter_query.h"
#include "services/event-broker/api/event_catalog_api.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kRateMax = 1'000'000;
// A call deals with so many letters at most; the count tells whether to go on.
constexpr std::size_t kLettersPerCall = 10'000;
// Letters are read with their events, of up to 1 MiB each.
constexpr std::size_t kLettersPerRead = 100;

}  // namespace

// A walk over the letters of a query.
struct EventCatalogApi::Sweep {
  DeadLetterQuery query;
  std::size_t seen = 0;
  // Deals with some letters, then calls what it is given.
  std::function<void(std::vector<StoredDeadLetter>, std::function<void(absl::Status)>)> take;
  // All were dealt with, or as many as one call does.
  std::function<void(absl::Status)> done;
};

void EventCatalogApi::SweepOn(std::shared_ptr<Sweep> sweep) {
  sweep->query.limit = std::min(kLettersPerRead, kLettersPerCall - sweep->seen);
  ports_.store.ListDeadLetters(sweep->query, [this, sweep](absl::StatusOr<DeadLetterPage> page) {
    if (!page.ok()) return sweep->done(page.status());
    sweep->seen += page->letters.size();
    const std::string next = page->next;
    const auto go_on = [this, sweep, next](const absl::Status& status) {
      if (!status.ok() || next.empty() || sweep->seen >= kLettersPerCall) {
        return sweep->done(status);
      }
      sweep->query.after = next;
      SweepOn(sweep);
    };
    if (page->letters.empty()) return go_on(absl::OkStatus());
    sweep->take(std::move(page->letters), go_on);
  });
}

grpc::ServerUnaryReactor* EventCatalogApi::RedriveDeadLetters(
    grpc::CallbackServerContext* context, const pb::RedriveDeadLettersRequest* request,
    pb::RedriveDeadLettersResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::RedriveDeadLettersRequest& given, pb::RedriveDeadLettersResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto space = SpaceOf(given.parent());
        if (!space.ok()) return done(space.status());
        auto query = SelectDeadLetters(given, *space);
        if (!query.ok()) return done(query.status());
        if (given.rate_per_second() < 0 || given.rate_per_second() > kRateMax) {
          return done(FieldError("ratePerSecond", "expected 1 to 1000000, or 0 for no limit"));
        }
        auto sweep = std::make_shared<Sweep>();
        sweep->query = *std::move(query);
        // One after the other at the rate, so all at once: without their events, which are read
        // again when they are sent.
        auto letters = std::make_shared<std::vector<StoredDeadLetter>>();
        sweep->take = [letters](std::vector<StoredDeadLetter> some,
                                const std::function<void(absl::Status)>& go_on) {
          for (StoredDeadLetter& letter : some) {
            if (letter.delivery.reason == DeadReason::kRetention) continue;  // There is no event.
            StoredDeadLetter& slim = letters->emplace_back();
            slim.delivery = std::move(letter.delivery);
            slim.delivery.log.clear();
            slim.space = std::move(letter.space);
            slim.subscription = std::move(letter.subscription);
            slim.bytes = letter.bytes;
          }
          go_on(absl::OkStatus());
        };
        sweep->done = [this, letters, answer, done,
                       rate = given.rate_per_second()](const absl::Status& status) {
          if (!status.ok() || letters->empty()) return done(status);
          ports_.delivery.Redrive(std::move(*letters), rate,
                                  [answer, done](const absl::StatusOr<std::int64_t>& count) {
                                    if (count.ok()) answer->set_redriven_count(*count);
                                    done(count.status());
                                  });
        };
        SweepOn(std::move(sweep));
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::PurgeDeadLetters(
    grpc::CallbackServerContext* context, const pb::PurgeDeadLettersRequest* request,
    pb::PurgeDeadLettersResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::PurgeDeadLettersRequest& given, pb::PurgeDeadLettersResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        const auto space = SpaceOf(given.parent());
        if (!space.ok()) return done(space.status());
        auto query = SelectDeadLetters(given, *space);
        if (!query.ok()) return done(query.status());
        auto sweep = std::make_shared<Sweep>();
        sweep->query = *std::move(query);
        sweep->take = [this, answer](std::vector<StoredDeadLetter> some,
                                     const std::function<void(absl::Status)>& go_on) {
          std::vector<DeliveryKey> keys;
          for (const StoredDeadLetter& letter : some) keys.push_back(letter.delivery.key);
          ports_.store.PurgeDeadLetters(
              std::move(keys), [this, answer, go_on,
                                some = std::move(some)](const absl::StatusOr<std::int64_t>& count) {
                if (!count.ok()) return go_on(count.status());
                answer->set_purged_count(answer->purged_count() + *count);
                ports_.delivery.Purged(some);
                go_on(absl::OkStatus());
              });
        };
        sweep->done = [done](const absl::Status& status) { done(status); };
        SweepOn(std::move(sweep));
      });
}

}  // namespace penstock::broker
