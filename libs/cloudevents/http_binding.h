// CloudEvents over HTTP: which mode a message is in, and events from and to headers and body.
//
// Independent of any HTTP library: headers are pairs of name and value; names in any case.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/cloudevents/event.h"

namespace penstock::cloudevents {

using HeaderView = std::pair<std::string_view, std::string_view>;
using Header = std::pair<std::string, std::string>;

inline constexpr std::string_view kJsonType = "application/cloudevents+json";
inline constexpr std::string_view kJsonBatchType = "application/cloudevents-batch+json";
inline constexpr std::string_view kProtobufType = "application/cloudevents+protobuf";
inline constexpr std::string_view kProtobufBatchType = "application/cloudevents-batch+protobuf";

enum class Mode {
  kBinary,  // attributes in ce-* headers
  kJson,    // structured
  kJsonBatch,
  kProtobuf,  // structured
  kProtobufBatch,
  kUnsupported,  // application/cloudevents… in a format that is not ours: 415
  kNone,         // no event: neither an event content type nor a ce- header of its own
};

// The mode of a message, from its Content-Type and headers. kBinary needs `ce-specversion`,
// `ce-id`, `ce-source` or `ce-type`.
Mode ModeOf(std::span<const HeaderView> headers);

// The events of an HTTP message. A structured or binary message has exactly one.
struct DecodedEvents {
  bool batch = false;
  // One result each, as the events of a batch are independent.
  std::vector<absl::StatusOr<CloudEvent>> events;
};

// Reads a message of any mode. INVALID_ARGUMENT when it is malformed as a whole; UNIMPLEMENTED for
// Mode::kUnsupported. Events are not validated beyond their form: call Validate.
absl::StatusOr<DecodedEvents> FromHttp(std::span<const HeaderView> headers, std::string_view body);

// Reads a binary mode message: attributes from ce-* headers (percent-decoded), datacontenttype from
// Content-Type, the payload from the body; an empty body is no payload. Other headers are ignored.
absl::StatusOr<CloudEvent> FromHttpBinary(std::span<const HeaderView> headers,
                                          std::string_view body);

// The headers of a binary mode message: Content-Type when the event has one, then ce-* sorted by
// name after the required ones; values percent-encoded. The body is Data(event).
std::vector<Header> ToHttpBinaryHeaders(const CloudEvent& event);

// The protobuf formats. Reading fails with INVALID_ARGUMENT on bytes that are no such message.
absl::StatusOr<CloudEvent> FromProtobuf(std::string_view bytes);
absl::StatusOr<CloudEventBatch> FromProtobufBatch(std::string_view bytes);
std::string ToProtobuf(const CloudEvent& event);
std::string ToProtobufBatch(const CloudEventBatch& batch);

// Percent-encoding of header values: HTTP protocol binding 3.1.3.2. Decoding also takes off
// surrounding double quotes, and leaves a percent sign that starts no escape as it is.
std::string EncodeHeaderValue(std::string_view value);
std::string DecodeHeaderValue(std::string_view value);

}  // namespace penstock::cloudevents
