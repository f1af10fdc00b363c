#include "services/function-executor/domain/execution.h"

#include <algorithm>

namespace penstock::executor {

std::optional<RecordedBody> RecordBody(const Bytes& payload, const std::string& content_type,
                                       std::size_t bytes_max) {
  if (payload == nullptr || (payload->empty() && content_type.empty())) return std::nullopt;
  RecordedBody body;
  body.content_type = content_type;
  body.bytes = payload->substr(0, bytes_max);
  body.size = static_cast<std::int64_t>(payload->size());
  body.truncated = payload->size() > bytes_max;
  return body;
}

ExecutionPosition PositionOf(const ExecutionRecord& record) {
  return {ToUnixMicros(record.start), record.id};
}

bool Matches(const ExecutionRecord& record, const ExecutionQuery& query) {
  const auto is_delivery = [&] {
    return query.delivery_id.empty() || query.delivery_id == record.delivery_id ||
           std::find(record.delivery_ids.begin(), record.delivery_ids.end(), query.delivery_id) !=
               record.delivery_ids.end();
  };
  const auto is = [](const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == value;
  };
  return is(query.space, record.space) && is(query.function, record.function) &&
         (!query.state || *query.state == record.state) &&
         (!query.trigger || *query.trigger == record.trigger) &&
         is(query.event_id, record.event_id) && is(query.subscription, record.subscription) &&
         is_delivery() && (!query.start_from || record.start >= *query.start_from) &&
         (!query.start_to || record.start < *query.start_to) &&
         (!query.before || PositionOf(record) < *query.before);
}

}  // namespace penstock::executor
