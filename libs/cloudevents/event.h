// Reading and setting parts of an event, whatever way they are stored in the message.
#pragma once

#include <io/cloudevents/v1/cloudevents.pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace penstock::cloudevents {

using io::cloudevents::v1::CloudEvent;
using io::cloudevents::v1::CloudEventBatch;
using AttributeValue = CloudEvent::CloudEventAttributeValue;

inline constexpr std::string_view kSpecVersion = "1.0";

// The value of an attribute in its canonical text (CloudEvents 1.0.2, "Type System"): true and
// false, decimal digits, base64, RFC 3339. Empty when the value has no type set.
std::string AttributeText(const AttributeValue& value);

// The text of the attribute `name`, the required ones (`id`, `source`, `specversion`, `type`)
// included; nothing when the event does not have it.
std::optional<std::string> AttributeText(const CloudEvent& event, std::string_view name);

// The attribute's value when it is stored as text (required attributes, strings, URIs); empty
// otherwise. Valid while the event is unchanged. Does not allocate.
std::string_view StringAttribute(const CloudEvent& event, std::string_view name);

// The content type of the payload; empty when the event has none, which means JSON.
std::string_view DataContentType(const CloudEvent& event);

// Sets an attribute from its text: `time` as a timestamp, `dataschema` as a URI, everything else as
// a string; the required ones in their own fields. Fails, naming the attribute, when the text does
// not fit its type.
absl::Status SetAttributeFromText(std::string_view name, std::string_view text, CloudEvent* event);

// Whether the event has a payload (which may be empty).
bool HasData(const CloudEvent& event);

// The payload's bytes: binary data, text, or the serialized message of proto_data. Valid while the
// event is unchanged.
std::string_view Data(const CloudEvent& event);

// Whether a content type declares JSON: `application/json`, `text/json`, `*/*+json`, parameters
// ignored; and the empty one, as the JSON event format has it.
bool IsJsonContentType(std::string_view content_type);

}  // namespace penstock::cloudevents
