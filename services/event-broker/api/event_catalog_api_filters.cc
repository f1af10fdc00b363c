// Filters without a subscription, and spaces.
#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "services/event-broker/api/event_catalog_api.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/cloud_event_attributes.h"
#include "services/event-broker/codec/filter_codec.h"
#include "services/event-broker/domain/filter/trace.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

constexpr char kSpacesQuery[] = "spaces";

absl::Status Try(const pb::TestFilterRequest& request, pb::TestFilterResponse& response) {
  if (!request.has_event()) return FieldError("event", "must be set");
  if (!request.event_type().empty()) {
    RETURN_IF_ERROR(TypePattern::Parse("eventType", request.event_type()).status());
  }
  ASSIGN_OR_RETURN(const std::vector<Filter> filters, FromProto(request.filters()));
  RETURN_IF_ERROR(CheckFilters(filters));
  const std::string body = request.event().SerializeAsString();
  EventRecord record;
  record.type = request.event().type();
  record.source = request.event().source();
  record.id = request.event().id();
  record.body = body;
  const CloudEventAttributes attributes(record);
  const Trace trace = TraceMatch(request.event_type(), filters, {"", record.type, &attributes});
  response.set_matched(trace.matched);
  if (!trace.matched) response.set_clause(trace.Clause());
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* EventCatalogApi::TestFilter(grpc::CallbackServerContext* context,
                                                      const pb::TestFilterRequest* request,
                                                      pb::TestFilterResponse* response) {
  return rpc::ServeUnary(context, request, response,
                         [this](const pb::TestFilterRequest& given, pb::TestFilterResponse* answer,
                                rpc::CallContext&, const rpc::ServerDone& done) {
                           Read(done, [&given, answer, done] { done(Try(given, *answer)); });
                         });
}

grpc::ServerUnaryReactor* EventCatalogApi::ListSpaces(grpc::CallbackServerContext* context,
                                                      const pb::ListSpacesRequest* request,
                                                      pb::ListSpacesResponse* response) {
  return rpc::ServeUnary(
      context, request, response,
      [this](const pb::ListSpacesRequest& given, pb::ListSpacesResponse* answer, rpc::CallContext&,
             const rpc::ServerDone& done) {
        const auto list = [&]() -> absl::Status {
          ASSIGN_OR_RETURN(const std::size_t page_size, CheckPageSize(given.page_size()));
          ASSIGN_OR_RETURN(const std::string after,
                           ParsePageToken(kSpacesQuery, given.page_token()));
          const std::set<std::string> spaces = ports_.catalog.Spaces();
          for (auto at = spaces.upper_bound(after); at != spaces.end(); ++at) {
            if (static_cast<std::size_t>(answer->spaces_size()) == page_size) {
              answer->set_next_page_token(
                  MakePageToken(kSpacesQuery, answer->spaces(answer->spaces_size() - 1)));
              break;
            }
            answer->add_spaces(*at);
          }
          return absl::OkStatus();
        };
        done(list());
      });
}

}  // namespace penstock::broker
