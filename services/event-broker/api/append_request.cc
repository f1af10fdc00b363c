#include "services/event-broker/api/append_request.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/crc32c.h"
#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/validate.h"
#include "libs/protojson/deterministic.h"
#include "services/event-broker/api/publish_time.h"
#include "services/event-broker/codec/time_codec.h"

namespace penstock::broker {
namespace {

namespace pb = penstock::events::v1;
using io::cloudevents::v1::CloudEvent;

constexpr char kPartitionKey[] = "partitionkey";

// Tells contents apart whatever the publisher's clock said: type and payload count, time does not.
std::uint64_t ContentHash(const CloudEvent& event) {
  const std::string_view data = cloudevents::Data(event);
  const std::uint64_t low = Crc32c(data);
  const std::uint64_t high = Crc32c(cloudevents::DataContentType(event), Crc32c(event.type()));
  const std::uint64_t hash = (high << 32 | low) ^ (std::uint64_t{data.size()} << 16);
  return hash == 0 ? 1 : hash;
}

}  // namespace

absl::StatusOr<std::string> PublishRules::ResolveSpace(const std::string& space) const {
  const std::string resolved = space.empty() ? std::string(kDefaultSpace) : space;
  RETURN_IF_ERROR(CheckSpace("space", resolved));
  if (!spaces_allowed.empty() && !spaces_allowed.contains(resolved)) {
    return absl::NotFoundError(fmt::format(
        "space \"{}\" not found: the configuration (spaces.allowed) does not list it", resolved));
  }
  return resolved;
}

absl::StatusOr<CheckedEvent> CheckEvent(const PublishRules& rules, const std::string& space,
                                        WallTime now, CloudEvent& event) {
  CheckedEvent checked;
  AppendRequest& request = checked.append;
  ASSIGN_OR_RETURN(request.space, rules.ResolveSpace(space));
  if (event.id().empty()) event.set_id(NewUuid());
  cloudevents::Limits limits;
  limits.max_data_bytes = rules.data_bytes_max;
  RETURN_IF_ERROR(cloudevents::Validate(event, limits));
  ASSIGN_OR_RETURN(checked.due, ResolveDueTime(now, event));
  if (event.type().starts_with("penstock.")) {
    return FieldError("type", "types that begin with \"penstock.\" are reserved");
  }
  request.content_hash = ContentHash(event);
  request.body = SharedBytes(protojson::SerializeDeterministic(event));
  request.type = event.type();
  request.source = event.source();
  request.id = event.id();
  if (const auto key = cloudevents::AttributeText(event, kPartitionKey))
    request.ordering_key = *key;
  return checked;
}

pb::PublishReceipt MakeReceipt(std::string id, const AppendResult& result, Durability durability) {
  if (result.verdict == AppendVerdict::kFailed) return MakeRefusal(std::move(id), result.status);
  pb::PublishReceipt receipt;
  receipt.set_id(std::move(id));
  receipt.set_sequence(static_cast<std::int64_t>(result.sequence));
  receipt.set_status(result.verdict == AppendVerdict::kDuplicate ? pb::PublishReceipt::DUPLICATE
                                                                 : pb::PublishReceipt::ACCEPTED);
  receipt.set_content_differs(result.content_differs);
  receipt.set_durability(durability == Durability::kFsynced ? pb::PublishReceipt::FSYNCED
                                                            : pb::PublishReceipt::REPLICATED);
  return receipt;
}

pb::PublishReceipt MakeScheduledReceipt(std::string id, WallTime due, bool duplicate,
                                        bool content_differs) {
  pb::PublishReceipt receipt;
  receipt.set_id(std::move(id));
  receipt.set_status(duplicate ? pb::PublishReceipt::DUPLICATE : pb::PublishReceipt::SCHEDULED);
  receipt.set_content_differs(content_differs);
  receipt.set_durability(pb::PublishReceipt::FSYNCED);
  SetTimestamp(due, receipt.mutable_due_time());
  return receipt;
}

pb::PublishReceipt MakeRefusal(std::string id, const absl::Status& status) {
  pb::PublishReceipt receipt;
  receipt.set_id(std::move(id));
  receipt.set_error_code(static_cast<int>(status.code()));
  receipt.set_error_message(std::string(status.message()));
  receipt.set_error_reason(ReasonOf(status));
  return receipt;
}

}  // namespace penstock::broker
