#include "services/function-executor/api/batch.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/json_format.h"
#include "libs/log/log.h"
#include "libs/protojson/json_tree.h"

namespace penstock::executor {
namespace {

namespace pb = internal::v1;

constexpr std::string_view kFailedMember = "failedDeliveryIds";
constexpr std::chrono::minutes kUnknownIdsInterval{1};

EventAttributes AttributesOf(const cloudevents::CloudEvent& event) {
  EventAttributes attributes;
  attributes.id = event.id();
  attributes.source = event.source();
  attributes.type = event.type();
  if (!event.spec_version().empty()) attributes.spec_version = event.spec_version();
  for (const auto& [name, value] : event.attributes()) {
    attributes.others.emplace(name, cloudevents::AttributeText(value));
  }
  return attributes;
}

// Adds one event to the list and to its JSON form.
absl::Status AddEvent(const std::string& field, const std::string& delivery_id,
                      const std::string& bytes, Batch* batch, std::string* json) {
  if (delivery_id.empty()) return FieldError(field + "delivery_id", "is required");
  cloudevents::CloudEvent event;
  if (!event.ParseFromString(bytes)) {
    return FieldError(field + "event", "is no serialized io.cloudevents.v1.CloudEvent");
  }
  (*event.mutable_attributes())[kDeliveryAttribute].set_ce_string(delivery_id);
  *json += batch->empty() ? '[' : ',';
  if (const absl::Status written = cloudevents::AppendJson(event, json); !written.ok()) {
    return UnderField(field + "event", written);
  }
  BatchedEvent& added = batch->emplace_back(ToDomain(&event));
  added.event.others.erase(kDeliveryAttribute);
  added.delivery_id = delivery_id;
  return absl::OkStatus();
}

// The ids that the answer names; nothing when the member is not a list of strings. An answer
// without the member names none.
std::optional<std::set<std::string>> FailedIds(const Outcome& outcome) {
  std::set<std::string> ids;
  if (outcome.payload == nullptr || !cloudevents::IsJsonContentType(outcome.content_type) ||
      outcome.payload->find(kFailedMember) == std::string::npos) {
    return ids;
  }
  protojson::JsonDocument document;
  if (!document.Parse(*outcome.payload).ok()) return ids;
  for (const protojson::JsonMember member : document.root().members()) {
    if (member.key != kFailedMember) continue;
    if (!member.value.is_array()) return std::nullopt;
    for (const protojson::JsonValue id : member.value.elements()) {
      if (!id.is_string()) return std::nullopt;
      ids.emplace(id.text());
    }
  }
  return ids;
}

}  // namespace

bool IsBatch(const pb::Invocation& invocation) {
  return invocation.batched() || invocation.batch_size() > 0;
}

BatchedEvent ToDomain(cloudevents::CloudEvent* event) {
  BatchedEvent parts;
  parts.event = AttributesOf(*event);
  parts.content_type = std::string(cloudevents::DataContentType(*event));
  if (event->has_binary_data()) {
    parts.payload = std::make_shared<const std::string>(std::move(*event->mutable_binary_data()));
  } else {
    parts.payload = std::make_shared<const std::string>(cloudevents::Data(*event));
  }
  return parts;
}

absl::Status SetBatch(const pb::Invocation& invocation, InvokeOrder* order) {
  auto batch = std::make_shared<Batch>();
  batch->reserve(static_cast<std::size_t>(invocation.batch_size()) + 1);
  std::string json;
  RETURN_IF_ERROR(AddEvent("", invocation.delivery_id(), invocation.event(), batch.get(), &json));
  for (int i = 0; i < invocation.batch_size(); ++i) {
    const pb::BatchedEvent& further = invocation.batch(i);
    RETURN_IF_ERROR(AddEvent(fmt::format("batch[{}].", i), further.delivery_id(), further.event(),
                             batch.get(), &json));
  }
  json += ']';
  order->event = batch->front().event;
  order->payload = std::make_shared<const std::string>(std::move(json));
  order->content_type = std::string(cloudevents::kJsonBatchType);
  order->batch = std::move(batch);
  return absl::OkStatus();
}

DeliveryVerdict FillFailed(const Batch& batch, const Outcome& outcome, DeliveryVerdict verdict,
                           pb::InvocationResult* result) {
  if (verdict.outcome != DeliveryOutcome::kSucceeded) return verdict;
  auto failed = FailedIds(outcome);
  if (!failed) {
    verdict.outcome = DeliveryOutcome::kRetryable;
    verdict.error =
        FunctionError{ErrorCategory::kFunction,
                      "InvalidAnswer",
                      "failedDeliveryIds in the answer to a batch is no list of strings",
                      {}};
    return verdict;
  }
  for (const BatchedEvent& one : batch) {
    if (failed->erase(one.delivery_id) > 0) result->add_failed_delivery_ids(one.delivery_id);
  }
  if (!failed->empty()) {
    static log::Every limiter(kUnknownIdsInterval);
    log::Log(limiter, log::Level::kWarn,
             "a function names failed deliveries that are not of its batch: they are ignored",
             {{"delivery_id", *failed->begin()}, {"ids", failed->size()}});
  }
  return verdict;
}

}  // namespace penstock::executor
