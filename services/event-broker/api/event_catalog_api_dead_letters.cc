// Dead letters, one by one and in lists.
#include <algorithm>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/validate.h"
#include "services/event-broker/api/dead_letter_query.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/dead_letter_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using io::cloudevents::v1::CloudEvent;

constexpr char kEditedFrom[] = "editedfrom";
// Of the events of a page: messages end at 8 MiB.
constexpr std::size_t kPageBytesMax = 4u << 20;

// How many of the first letters fit into a page; at least one.
std::size_t CountFitting(const std::vector<StoredDeadLetter>& letters) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    bytes += letters[i].event.size() + letters[i].original_event.size();
    if (bytes > kPageBytesMax) return std::max<std::size_t>(i, 1);
  }
  return letters.size();
}

absl::Status CheckMask(const pb::UpdateDeadLetterRequest& request) {
  for (const std::string& path : request.update_mask().paths()) {
    if (path != "event") {
      return FieldError("updateMask", "\"" + path + "\" cannot be changed: only event can");
    }
  }
  return absl::OkStatus();
}

// The new event in place of `before`: it has an id of its own, and says of which it was made.
absl::StatusOr<CloudEvent> MakeEdited(CloudEvent event, const StoredDeadLetter& letter,
                                      std::size_t data_bytes_max) {
  if (event.id().empty() || event.id() == letter.event_id) event.set_id(NewUuid());
  CloudEvent original;
  original.ParseFromString(letter.original_event.empty() ? letter.event : letter.original_event);
  RETURN_IF_ERROR(UnderField(
      "deadLetter.event", cloudevents::SetAttributeFromText(kEditedFrom, original.id(), &event)));
  cloudevents::Limits limits;
  limits.max_data_bytes = data_bytes_max;
  RETURN_IF_ERROR(UnderField("deadLetter.event", cloudevents::Validate(event, limits)));
  if (event.type().starts_with("penstock.")) {
    return FieldError("deadLetter.event.type", "types that begin with \"penstock.\" are reserved");
  }
  return event;
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
        const std::string text = description.SerializeAsString();
        DeadLetterQuery query;
        const auto fill = [&]() -> absl::Status {
          ASSIGN_OR_RETURN(query.space, SpaceOf(given.parent()));
          ASSIGN_OR_RETURN(query.limit, CheckPageSize(given.page_size()));
          ASSIGN_OR_RETURN(query.after, ParsePageToken(text, given.page_token()));
          if (!given.event_id().empty()) query.event_id = given.event_id();
          return SetConditions(given, query);
        };
        if (const absl::Status status = fill(); !status.ok()) return done(status);
        ListLetters(std::move(query), [answer, done, text](absl::StatusOr<DeadLetterPage> page) {
          if (!page.ok()) return done(page.status());
          for (const StoredDeadLetter& letter : page->letters) {
            *answer->add_dead_letters() = ToProto(letter);
          }
          if (!page->next.empty()) answer->set_next_page_token(MakePageToken(text, page->next));
          done(absl::OkStatus());
        });
      });
}

void EventCatalogApi::ListLetters(DeadLetterQuery query,
                                  std::function<void(absl::StatusOr<DeadLetterPage>)> done) {
  ports_.store.ListDeadLetters(
      query, [this, query, done = std::move(done)](absl::StatusOr<DeadLetterPage> page) mutable {
        const std::size_t fitting = page.ok() ? CountFitting(page->letters) : 0;
        if (!page.ok() || fitting == page->letters.size()) return done(std::move(page));
        // Only the store knows where a smaller page would go on.
        query.limit = fitting;
        ListLetters(std::move(query), std::move(done));
      });
}

void EventCatalogApi::FindLetter(const std::string& field, const std::string& name,
                                 std::function<void(absl::StatusOr<StoredDeadLetter>)> done) {
  const auto parsed = ParseResourceName(field, "deadLetters", name);
  if (!parsed.ok()) return done(parsed.status());
  const auto key = ParseDeliveryId(parsed->id);
  const absl::Status missing = absl::NotFoundError("dead letter \"" + name + "\" not found");
  if (!key) return done(missing);
  ports_.store.GetDeadLetter(*key, [done = std::move(done), missing, space = parsed->space](
                                       absl::StatusOr<StoredDeadLetter> letter) {
    const bool elsewhere = letter.ok() && letter->space != space;
    if (absl::IsNotFound(letter.status()) || elsewhere) return done(missing);
    done(std::move(letter));
  });
}

grpc::ServerUnaryReactor* EventCatalogApi::GetDeadLetter(grpc::CallbackServerContext* context,
                                                         const pb::GetDeadLetterRequest* request,
                                                         pb::DeadLetter* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::GetDeadLetterRequest& given, pb::DeadLetter* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           FindLetter("name", given.name(),
                                      [answer, done](absl::StatusOr<StoredDeadLetter> letter) {
                                        if (letter.ok()) *answer = ToProto(*letter);
                                        done(letter.status());
                                      });
                         });
}

void EventCatalogApi::EditLetter(const StoredDeadLetter& letter,
                                 const pb::UpdateDeadLetterRequest& request,
                                 pb::DeadLetter* response, const rpc::ServerDone& done) {
  const std::string current = ToProto(letter).etag();
  const std::string& given = request.dead_letter().etag();
  if (!given.empty() && given != current) {
    return done(WithReason(absl::AbortedError("etag: \"" + given +
                                              "\" is not current: the dead letter was changed; "
                                              "read it again (current: \"" +
                                              current + "\")"),
                           "ETAG_MISMATCH"));
  }
  if (letter.event.empty()) {
    return done(absl::FailedPreconditionError(
        "deadLetter.event: the log had let it go, so there is nothing to change"));
  }
  auto event = MakeEdited(request.dead_letter().event(), letter, rules_.data_bytes_max);
  if (!event.ok()) return done(event.status());
  const DeliveryKey key = letter.delivery.key;
  ports_.store.EditDeadLetter(
      key, letter.edits, event->SerializeAsString(), event->id(), event->type(),
      [this, key, response, done](const absl::Status& status) {
        if (!status.ok()) return done(status);
        ports_.store.GetDeadLetter(
            key, [response, done](const absl::StatusOr<StoredDeadLetter>& edited) {
              if (edited.ok()) *response = ToProto(*edited);
              done(edited.status());
            });
      });
}

grpc::ServerUnaryReactor* EventCatalogApi::UpdateDeadLetter(
    grpc::CallbackServerContext* context, const pb::UpdateDeadLetterRequest* request,
    pb::DeadLetter* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::UpdateDeadLetterRequest& given, pb::DeadLetter* answer, rpc::CallContext&,
             const rpc::ServerDone& done) {
        if (const absl::Status status = CheckMask(given); !status.ok()) return done(status);
        if (!given.dead_letter().has_event()) {
          return done(FieldError("deadLetter.event", "must be set"));
        }
        FindLetter("deadLetter.name", given.dead_letter().name(),
                   [this, &given, answer, done](absl::StatusOr<StoredDeadLetter> letter) {
                     if (!letter.ok()) return done(letter.status());
                     // Up to 1 MiB is checked: not in the store's thread.
                     Read(done, [this, &given, answer, done, letter = *std::move(letter)] {
                       EditLetter(letter, given, answer, done);
                     });
                   });
      });
}

}  // namespace penstock::broker
