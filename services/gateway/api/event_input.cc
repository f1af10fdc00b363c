#include "services/gateway/api/event_input.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "libs/cloudevents/event.h"
#include "libs/cloudevents/http_binding.h"
#include "libs/cloudevents/validate.h"
#include "services/gateway/api/payload_type.h"

namespace penstock::gateway {
namespace {

using cloudevents::CloudEvent;
using cloudevents::HeaderView;
using cloudevents::Mode;

// What surrounds a payload in a structured event: attributes, base64, escapes.
constexpr std::size_t kEnvelopeBytes = 128 * 1024;

bool IsStructured(Mode mode) { return mode == Mode::kJson || mode == Mode::kProtobuf; }
bool IsBatch(Mode mode) { return mode == Mode::kJsonBatch || mode == Mode::kProtobufBatch; }

std::vector<HeaderView> ViewsOf(const http::Headers& headers) {
  std::vector<HeaderView> views;
  views.reserve(headers.size());
  for (const http::Headers::Field field : headers) views.emplace_back(field.name, field.value);
  return views;
}

Mode ModeOfHeaders(const http::Headers& headers) { return cloudevents::ModeOf(ViewsOf(headers)); }

// Checks everything that the broker would: one bad string in a message would end the whole stream.
InputEvent Checked(CloudEvent& event, const EventInputLimits& limits) {
  if (event.id().empty()) event.set_id(NewUuid());
  InputEvent input;
  cloudevents::Limits allowed;
  allowed.max_data_bytes = limits.data_bytes_max;
  input.status = cloudevents::Validate(event, allowed);
  if (input.status.ok()) input.bytes = event.SerializeAsString();
  input.id = std::move(*event.mutable_id());
  input.source = std::move(*event.mutable_source());
  return input;
}

bool TooLarge(std::size_t size, std::size_t limit, InputError* error) {
  if (size <= limit) return false;
  *error = {413, FieldError("data", fmt::format("has {} bytes; expected at most {}", size, limit))};
  return true;
}

absl::StatusOr<CloudEvent> EmitEvent(http::Request& request, std::string_view type,
                                     std::string_view space, WallTime now) {
  CloudEvent event;
  const std::string_view key = request.headers.Get("Idempotency-Key");
  event.set_id(key.empty() ? NewUuid() : std::string(key));
  event.set_source(fmt::format("/spaces/{}/http", space));
  event.set_spec_version(std::string(cloudevents::kSpecVersion));
  event.set_type(std::string(type));
  auto& attributes = *event.mutable_attributes();
  auto& time = *attributes["time"].mutable_ce_timestamp();
  time.set_seconds(ToUnixMicros(now) / 1'000'000);
  time.set_nanos(static_cast<int>(ToUnixMicros(now) % 1'000'000 * 1'000));
  const std::string_view content_type = PayloadContentType(request);
  if (!content_type.empty()) {
    attributes["datacontenttype"].set_ce_string(std::string(content_type));
  }
  if (!request.body.empty()) event.set_binary_data(std::move(request.body));
  return event;
}

bool ReadOne(absl::StatusOr<CloudEvent> event, const EventInputLimits& limits, EventInput* input,
             InputError* error) {
  if (!event.ok()) {
    error->status = event.status();
    return false;
  }
  if (TooLarge(cloudevents::Data(*event).size(), limits.data_bytes_max, error)) return false;
  InputEvent checked = Checked(*event, limits);
  if (!checked.status.ok()) {
    error->status = std::move(checked.status);
    return false;
  }
  input->events.push_back(std::move(checked));
  return true;
}

bool ReadBatch(const std::vector<HeaderView>& headers, std::string_view body,
               const EventInputLimits& limits, EventInput* input, InputError* error) {
  if (TooLarge(body.size(), limits.batch_bytes_max, error)) return false;
  auto decoded = cloudevents::FromHttp(headers, body);
  if (!decoded.ok()) {
    error->status = decoded.status();
    return false;
  }
  if (decoded->events.size() > limits.batch_events_max) {
    *error = {413, absl::InvalidArgumentError(
                       fmt::format("the batch has {} events; expected at most {}",
                                   decoded->events.size(), limits.batch_events_max))};
    return false;
  }
  input->batch = true;
  for (absl::StatusOr<CloudEvent>& event : decoded->events) {
    if (event.ok()) {
      input->events.push_back(Checked(*event, limits));
    } else {
      input->events.push_back({.id = {}, .source = {}, .bytes = {}, .status = event.status()});
    }
  }
  return true;
}

}  // namespace

bool IsEventBatch(const http::Headers& headers) { return IsBatch(ModeOfHeaders(headers)); }

std::size_t EventBodyLimit(const http::Headers& headers, const EventInputLimits& limits) {
  // Only the content type decides: a look at every header here would cost each request.
  const std::string_view type = headers.Get("Content-Type");
  if (type.size() < 23 || !http::EqualsIgnoreCase(type.substr(0, 23), "application/cloudevents")) {
    return limits.data_bytes_max;
  }
  if (IsEventBatch(headers)) return limits.batch_bytes_max;
  return limits.data_bytes_max / 3 * 4 + kEnvelopeBytes;
}

bool ReadEvents(http::Request& request, std::string_view space, WallTime now,
                const EventInputLimits& limits, EventInput* input, InputError* error) {
  const std::vector<HeaderView> headers = ViewsOf(request.headers);
  const Mode mode = cloudevents::ModeOf(headers);
  if (IsBatch(mode)) return ReadBatch(headers, request.body, limits, input, error);
  if (IsStructured(mode)) {
    auto decoded = cloudevents::FromHttp(headers, request.body);
    if (!decoded.ok()) {
      error->status = decoded.status();
      return false;
    }
    return ReadOne(std::move(decoded->events.front()), limits, input, error);
  }
  if (mode == Mode::kUnsupported) {
    *error = {415,
              absl::InvalidArgumentError(cloudevents::FromHttp(headers, {}).status().message())};
    return false;
  }
  if (mode == Mode::kNone) return ReadEmit(request, space, now, limits, input, error);
  auto event = cloudevents::FromHttpBinary(headers, {});
  if (event.ok() && !request.body.empty()) event->set_binary_data(std::move(request.body));
  return ReadOne(std::move(event), limits, input, error);
}

bool ReadEmit(http::Request& request, std::string_view space, WallTime now,
              const EventInputLimits& limits, EventInput* input, InputError* error) {
  const std::string_view type = request.headers.Get("Event");
  if (type.empty()) {
    error->status = FieldError(
        "type",
        "expected a CloudEvent (ce-id, ce-source, ce-specversion and ce-type headers, or "
        "Content-Type application/cloudevents+json) or an Event header with the type");
    return false;
  }
  return ReadOne(EmitEvent(request, type, space, now), limits, input, error);
}

absl::StatusOr<std::string> SpaceOf(const http::Headers& headers) {
  const auto space = headers.Find("Space");
  if (!space.has_value()) return std::string(kDefaultSpace);
  RETURN_IF_ERROR(CheckSpace("Space", *space));
  return std::string(*space);
}

}  // namespace penstock::gateway
