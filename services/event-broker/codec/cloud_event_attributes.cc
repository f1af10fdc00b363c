#include "services/event-broker/codec/cloud_event_attributes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <io/cloudevents/v1/cloudevents.pb.h>

#include "absl/strings/escaping.h"
#include "libs/base/time.h"

namespace penstock::broker {
namespace {

using google::protobuf::internal::WireFormatLite;
using AttributeValue = io::cloudevents::v1::CloudEvent::CloudEventAttributeValue;

// CloudEvents 1.0.2, section "Type System": the canonical string of a value.
std::string CanonicalText(const AttributeValue& value) {
  switch (value.attr_case()) {
    case AttributeValue::kCeBoolean: return value.ce_boolean() ? "true" : "false";
    case AttributeValue::kCeInteger: return std::to_string(value.ce_integer());
    case AttributeValue::kCeString: return value.ce_string();
    case AttributeValue::kCeBytes: {
      std::string text;
      absl::Base64Escape(value.ce_bytes(), &text);
      return text;
    }
    case AttributeValue::kCeUri: return value.ce_uri();
    case AttributeValue::kCeUriRef: return value.ce_uri_ref();
    case AttributeValue::kCeTimestamp:
      return FormatRfc3339(FromUnixMicros(value.ce_timestamp().seconds() * 1'000'000 +
                                          value.ce_timestamp().nanos() / 1'000));
    case AttributeValue::ATTR_NOT_SET: break;
  }
  return "";
}

}  // namespace

std::optional<std::string_view> CloudEventAttributes::Attribute(std::string_view name) const {
  if (name == "type") return record_.type;
  if (name == "source") return record_.source;
  if (name == "id") return record_.id;
  if (name == "specversion") return "1.0";
  if (!parsed_) Parse();
  const auto at = others_.find(name);
  if (at == others_.end()) return std::nullopt;
  return at->second;
}

// Walks the message's fields and takes the entries of `attributes` only: the data is skipped over.
void CloudEventAttributes::Parse() const {
  parsed_ = true;
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const std::uint8_t*>(record_.body.data()),
      static_cast<int>(record_.body.size()));
  constexpr int kAttributes = io::cloudevents::v1::CloudEvent::kAttributesFieldNumber;
  while (const std::uint32_t tag = in.ReadTag()) {
    if (tag != WireFormatLite::MakeTag(kAttributes, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      if (!WireFormatLite::SkipField(&in, tag)) return;
      continue;
    }
    std::uint32_t size = 0;
    std::string bytes;
    if (!in.ReadVarint32(&size) || !in.ReadString(&bytes, static_cast<int>(size))) return;
    // A map entry alone is a message with one entry of the map.
    io::cloudevents::v1::CloudEvent entry;
    std::string field;
    {
      google::protobuf::io::StringOutputStream raw(&field);
      google::protobuf::io::CodedOutputStream out(&raw);
      out.WriteTag(tag);
      out.WriteVarint32(size);
      out.WriteString(bytes);
    }
    if (!entry.ParseFromString(field)) return;
    for (const auto& [name, value] : entry.attributes()) others_[name] = CanonicalText(value);
  }
}

}  // namespace penstock::broker
