#include "services/event-broker/api/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "services/event-broker/api/paging.h"
#include "services/event-broker/codec/dead_letter_codec.h"
#include "services/event-broker/codec/time_codec.h"
#include "services/event-broker/domain/filter/type_pattern.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;

// A page ends early after so many records were looked at, so that no request takes for ever.
constexpr std::size_t kRecordsLookedAtMax = 200'000;
constexpr std::size_t kScanEvents = 1024;
constexpr std::size_t kPageBytesMax = 4u << 20;

absl::StatusOr<Sequence> ParseSequence(std::string_view field, std::string_view text) {
  Sequence sequence = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (error == std::errc() && stop == text.data() + text.size() && sequence > 0) return sequence;
  return FieldError(field,
                    fmt::format("\"{}\" is not a sequence: expected a number from 1 on", text));
}

struct Query {
  std::string space;
  Sequence from = 1;
  Sequence to = kMaxSequence;  // Inclusive.
  std::optional<TypePattern> type;
  std::string source;
  std::optional<WallTime> before;
  std::size_t page_size = 50;
  bool newest_first = false;

  bool Wants(const EventRecord& record) const {
    return record.kind == RecordKind::kEvent && record.space == space &&
           (!type || type->Matches(record.type)) && (source.empty() || record.source == source) &&
           (!before || record.append_time < *before);
  }
};

absl::StatusOr<Query> MakeQuery(EventLog& log, const PublishRules& rules,
                                const pb::ReadEventsRequest& request) {
  Query query;
  ASSIGN_OR_RETURN(query.space, rules.ResolveSpace(request.space()));
  ASSIGN_OR_RETURN(query.page_size, CheckPageSize(request.page_size()));
  if (request.from_sequence() < 0) return FieldError("fromSequence", "must not be negative");
  if (request.to_sequence() < 0) return FieldError("toSequence", "must not be negative");
  if (request.from_sequence() > 0 && request.has_from_time()) {
    return FieldError("fromTime", "must not be set together with fromSequence");
  }
  query.from = std::max<Sequence>(static_cast<Sequence>(request.from_sequence()), 1);
  if (request.from_sequence() > 0 && query.from < log.horizon()) {
    return absl::OutOfRangeError(fmt::format(
        "fromSequence: {} is no longer kept: the oldest kept is {}", query.from, log.horizon()));
  }
  if (request.has_from_time()) {
    ASSIGN_OR_RETURN(query.from, log.FirstAtOrAfter(FromProto(request.from_time())));
  }
  query.from = std::max(query.from, log.horizon());
  query.to = log.head();
  if (request.to_sequence() > 0) {
    query.to = std::min(query.to, static_cast<Sequence>(request.to_sequence()));
  }
  if (request.has_to_time()) query.before = FromProto(request.to_time());
  if (!request.type().empty()) {
    ASSIGN_OR_RETURN(query.type, TypePattern::Parse("type", request.type()));
  }
  query.source = request.source();
  query.newest_first = request.newest_first();
  return query;
}

// What identifies the list that a page token belongs to.
std::string Describe(const pb::ReadEventsRequest& request) {
  pb::ReadEventsRequest description = request;
  description.clear_page_token();
  description.clear_page_size();
  return description.SerializeAsString();
}

ScanRequest MakeScan(const Query& query, Sequence from, Sequence to, std::size_t events) {
  ScanRequest scan;
  scan.from = from;
  scan.to = to;
  scan.events_max = events;
  scan.filter.spaces = {query.space};
  if (query.type && query.type->exact()) scan.filter.types = {query.type->text()};
  scan.filter.control_records = false;
  return scan;
}

void NoteDamage(const ScanResult& result, pb::ReadEventsResponse& response) {
  if (!result.lost) return;
  response.add_damaged_ranges(fmt::format("{}-{}", result.lost->first, result.lost->last));
}

absl::Status AddEvent(const EventRecord& record, pb::ReadEventsResponse& response,
                      std::size_t& bytes) {
  ASSIGN_OR_RETURN(auto event, ToProto(record));
  bytes += record.body.size();
  *response.add_events() = std::move(event);
  return absl::OkStatus();
}

// Fills the page upwards; gives where to go on.
absl::StatusOr<Sequence> ReadForward(EventLog& log, const Query& query, Sequence from,
                                     pb::ReadEventsResponse& response) {
  std::size_t bytes = 0;
  Sequence next = from;
  for (std::size_t looked = 0; next <= query.to && looked < kRecordsLookedAtMax;
       looked += kScanEvents) {
    ASSIGN_OR_RETURN(const ScanResult result,
                     log.Scan(MakeScan(query, next, query.to, kScanEvents)));
    NoteDamage(result, response);
    for (const EventRecord& record : result.records) {
      if (!query.Wants(record)) continue;
      RETURN_IF_ERROR(AddEvent(record, response, bytes));
      if (static_cast<std::size_t>(response.events_size()) == query.page_size ||
          bytes > kPageBytesMax) {
        return record.sequence + 1;
      }
    }
    if (result.next <= next) break;
    next = result.next;
  }
  return next;
}

// Fills the page downwards from `from` (inclusive) in windows; gives the next lower sequence, or 0.
absl::StatusOr<Sequence> ReadBackward(EventLog& log, const Query& query, Sequence from,
                                      pb::ReadEventsResponse& response) {
  std::size_t bytes = 0;
  Sequence high = from;
  for (std::size_t looked = 0; high >= query.from && high > 0 && looked < kRecordsLookedAtMax;
       looked += kScanEvents) {
    const Sequence low = std::max(query.from, high > kScanEvents ? high - kScanEvents + 1 : 1);
    std::vector<EventRecord> wanted;
    for (Sequence next = low; next <= high;) {
      ASSIGN_OR_RETURN(ScanResult result, log.Scan(MakeScan(query, next, high, kScanEvents)));
      NoteDamage(result, response);
      for (EventRecord& record : result.records) {
        if (query.Wants(record)) wanted.push_back(std::move(record));
      }
      if (result.next <= next) break;
      next = result.next;
    }
    for (auto record = wanted.rbegin(); record != wanted.rend(); ++record) {
      RETURN_IF_ERROR(AddEvent(*record, response, bytes));
      if (static_cast<std::size_t>(response.events_size()) == query.page_size ||
          bytes > kPageBytesMax) {
        return record->sequence - 1;
      }
    }
    high = low - 1;
  }
  return high;
}

}  // namespace

absl::StatusOr<pb::ReadEventsResponse> ReadEvents(EventLog& log, const PublishRules& rules,
                                                  const pb::ReadEventsRequest& request) {
  ASSIGN_OR_RETURN(const Query query, MakeQuery(log, rules, request));
  const std::string description = Describe(request);
  ASSIGN_OR_RETURN(const std::string position, ParsePageToken(description, request.page_token()));
  Sequence from = query.newest_first ? query.to : query.from;
  if (!position.empty()) {
    ASSIGN_OR_RETURN(from, ParseSequence("pageToken", position));
    if (!query.newest_first) from = std::max(from, query.from);
  }
  pb::ReadEventsResponse response;
  if (query.newest_first) {
    ASSIGN_OR_RETURN(const Sequence next, ReadBackward(log, query, from, response));
    if (next >= query.from && next > 0) {
      response.set_next_page_token(MakePageToken(description, std::to_string(next)));
    }
    return response;
  }
  ASSIGN_OR_RETURN(const Sequence next, ReadForward(log, query, from, response));
  if (next <= query.to) {
    response.set_next_page_token(MakePageToken(description, std::to_string(next)));
  }
  return response;
}

absl::StatusOr<EventRecord> FindEvent(EventLog& log, const PublishRules& rules,
                                      const EventReference& reference) {
  ASSIGN_OR_RETURN(const std::string space, rules.ResolveSpace(reference.space));
  if (reference.id.empty()) return FieldError("id", "must not be empty");
  const absl::Status not_found = absl::NotFoundError(
      fmt::format("event \"{}\" not found in space \"{}\"", reference.id, space));
  constexpr std::string_view kBySequence = "sequence:";
  if (reference.id.starts_with(kBySequence)) {
    ASSIGN_OR_RETURN(
        const Sequence sequence,
        ParseSequence("id", std::string_view(reference.id).substr(kBySequence.size())));
    ASSIGN_OR_RETURN(EventRecord record, log.Read(sequence));
    if (record.kind != RecordKind::kEvent || record.space != space) return not_found;
    return record;
  }
  FindByIdRequest find{space, reference.id, std::nullopt};
  if (!reference.source.empty()) find.source = reference.source;
  ASSIGN_OR_RETURN(std::vector<EventRecord> records, log.FindById(find));
  if (records.empty()) return not_found;
  for (const EventRecord& other : records) {
    if (other.source == records.front().source) continue;
    std::string list;
    for (const EventRecord& record : records) {
      list += fmt::format("{}source \"{}\" at sequence {}", list.empty() ? "" : ", ", record.source,
                          record.sequence);
    }
    return absl::AbortedError(fmt::format(
        "id: several events have the id \"{}\": {}; name one by its source", reference.id, list));
  }
  return std::move(records.front());
}

absl::StatusOr<pb::StoredEvent> GetEvent(EventLog& log, const PublishRules& rules,
                                         const pb::GetEventRequest& request) {
  ASSIGN_OR_RETURN(const EventRecord record,
                   FindEvent(log, rules, {request.space(), request.id(), request.source()}));
  return ToProto(record);
}

}  // namespace penstock::broker
