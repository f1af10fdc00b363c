#include "services/event-broker/codec/cloud_event_attributes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <io/cloudevents/v1/cloudevents.pb.h>

#include "libs/cloudevents/event.h"

namespace penstock::broker {
namespace {

using google::protobuf::internal::WireFormatLite;

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
    for (const auto& [name, value] : entry.attributes())
      others_[name] = cloudevents::AttributeText(value);
  }
}

}  // namespace penstock::broker
