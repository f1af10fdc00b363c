// The dead letters' part of the control plane.
#include <algorithm>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/dead_letter_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr int kNamesMax = 1000;
// A redrive or purge of everything goes through so many letters a call; the count tells whether to
// go on.
constexpr std::size_t kLettersPerCall = 10'000;

std::optional<DeadReason> FromProto(pb::DeadLetter::Reason reason) {
  switch (reason) {
    case pb::DeadLetter::ATTEMPTS_EXHAUSTED: return DeadReason::kAttemptsExhausted;
    case pb::DeadLetter::EXPIRED: return DeadReason::kExpired;
    case pb::DeadLetter::PERMANENT_FAILURE: return DeadReason::kPermanent;
    case pb::DeadLetter::EXECUTOR_LOST: return DeadReason::kExecutorLost;
    default: return std::nullopt;
  }
}

}  // namespace

grpc::ServerUnaryReactor* EventCatalogApi::ListDeadLetters(
    grpc::CallbackServerContext* context, const pb::ListDeadLettersRequest* request,
    pb::ListDeadLettersResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListDeadLettersRequest& given, pb::ListDeadLettersResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        pb::ListDeadLettersRequest description = given;
        description.clear_page_token();
        description.clear_page_size();
        const std::string text = description.ShortDebugString();
        const auto make_query = [&]() -> absl::StatusOr<DeadLetterQuery> {
          DeadLetterQuery query;
          ASSIGN_OR_RETURN(query.space, SpaceOf(given.parent()));
          ASSIGN_OR_RETURN(query.limit, CheckPageSize(given.page_size()));
          ASSIGN_OR_RETURN(query.after, ParsePageToken(text, given.page_token()));
          if (!given.subscription().empty()) {
            ASSIGN_OR_RETURN(query.subscription, ParseReference("subscription", "subscriptions",
                                                                query.space, given.subscription()));
          }
          query.reason = FromProto(given.reason());
          if (!given.event_id().empty()) query.event_id = given.event_id();
          return query;
        };
        auto query = make_query();
        if (!query.ok()) return done(query.status());
        ports_.store.ListDeadLetters(
            *std::move(query), [answer, done, text](const absl::StatusOr<DeadLetterPage>& page) {
              if (!page.ok()) return done(page.status());
              for (const StoredDeadLetter& letter : page->letters) {
                *answer->add_dead_letters() = ToProto(letter);
              }
              if (!page->next.empty()) {
                answer->set_next_page_token(MakePageToken(text, page->next));
              }
              done(absl::OkStatus());
            });
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::GetDeadLetter(grpc::CallbackServerContext* context,
                                                         const pb::GetDeadLetterRequest* request,
                                                         pb::DeadLetter* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::GetDeadLetterRequest& given, pb::DeadLetter* answer, rpc::CallContext&,
             const rpc::ServerDone& done) {
        const auto name = ParseResourceName("name", "deadLetters", given.name());
        if (!name.ok()) return done(name.status());
        const auto key = ParseDeliveryId(name->id);
        const absl::Status missing =
            absl::NotFoundError("dead letter \"" + given.name() + "\" not found");
        if (!key) return done(missing);
        ports_.store.GetDeadLetter(*key, [answer, done, missing, space = name->space](
                                             const absl::StatusOr<StoredDeadLetter>& letter) {
          if (absl::IsNotFound(letter.status())) return done(missing);
          if (!letter.ok()) return done(letter.status());
          if (letter->space != space) return done(missing);
          *answer = ToProto(*letter);
          done(absl::OkStatus());
        });
      });
}

template <typename Request>
absl::StatusOr<DeadLetterQuery> EventCatalogApi::Select(const Request& request) const {
  DeadLetterQuery query;
  ASSIGN_OR_RETURN(query.space, SpaceOf(request.parent()));
  const int given = (request.names_size() > 0) + !request.subscription().empty() + request.all();
  if (given != 1) {
    return FieldError("names", "expected exactly one of names, subscription, all");
  }
  if (request.names_size() > kNamesMax) return FieldError("names", "more than 1000 names");
  for (const std::string& name : request.names()) {
    ASSIGN_OR_RETURN(std::string id, ParseReference("names", "deadLetters", query.space, name));
    query.ids.push_back(std::move(id));
  }
  if (!request.subscription().empty()) {
    ASSIGN_OR_RETURN(query.subscription, ParseReference("subscription", "subscriptions",
                                                        query.space, request.subscription()));
  }
  query.limit = kLettersPerCall;
  return query;
}

grpc::ServerUnaryReactor* EventCatalogApi::RedriveDeadLetters(
    grpc::CallbackServerContext* context, const pb::RedriveDeadLettersRequest* request,
    pb::RedriveDeadLettersResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::RedriveDeadLettersRequest& given, pb::RedriveDeadLettersResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        auto query = Select(given);
        if (!query.ok()) return done(query.status());
        ports_.store.ListDeadLetters(
            *std::move(query), [this, answer, done](absl::StatusOr<DeadLetterPage> page) {
              if (!page.ok()) return done(page.status());
              ports_.delivery.Redrive(std::move(page->letters),
                                      [answer, done](const absl::StatusOr<std::int64_t>& count) {
                                        if (count.ok()) answer->set_redriven_count(*count);
                                        done(count.status());
                                      });
            });
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::PurgeDeadLetters(
    grpc::CallbackServerContext* context, const pb::PurgeDeadLettersRequest* request,
    pb::PurgeDeadLettersResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::PurgeDeadLettersRequest& given, pb::PurgeDeadLettersResponse* answer,
             rpc::CallContext&, const rpc::ServerDone& done) {
        auto query = Select(given);
        if (!query.ok()) return done(query.status());
        ports_.store.ListDeadLetters(
            *std::move(query), [this, answer, done](const absl::StatusOr<DeadLetterPage>& page) {
              if (!page.ok()) return done(page.status());
              std::vector<DeliveryKey> keys;
              for (const StoredDeadLetter& letter : page->letters)
                keys.push_back(letter.delivery.key);
              ports_.store.PurgeDeadLetters(
                  std::move(keys), [answer, done](const absl::StatusOr<std::int64_t>& count) {
                    if (count.ok()) answer->set_purged_count(*count);
                    done(count.status());
                  });
            });
      });
}

}  // namespace penstock::broker
