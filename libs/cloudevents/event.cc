#include "libs/cloudevents/event.h"

#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/time_text.h"

namespace penstock::cloudevents {
namespace {

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The value of one of the required attributes, or null when `name` is none of them.
const std::string* RequiredAttribute(const CloudEvent& event, std::string_view name) {
  if (name == "id") return &event.id();
  if (name == "source") return &event.source();
  if (name == "type") return &event.type();
  if (name == "specversion") return &event.spec_version();
  return nullptr;
}

const AttributeValue* FindAttribute(const CloudEvent& event, std::string_view name) {
  const auto found = event.attributes().find(std::string(name));
  return found == event.attributes().end() ? nullptr : &found->second;
}

}  // namespace

std::string AttributeText(const AttributeValue& value) {
  switch (value.attr_case()) {
    case AttributeValue::kCeBoolean: return value.ce_boolean() ? "true" : "false";
    case AttributeValue::kCeInteger: return std::to_string(value.ce_integer());
    case AttributeValue::kCeString: return value.ce_string();
    case AttributeValue::kCeUri: return value.ce_uri();
    case AttributeValue::kCeUriRef: return value.ce_uri_ref();
    case AttributeValue::kCeBytes: {
      std::string text;
      protojson::AppendBase64(value.ce_bytes(), &text);
      return text;
    }
    case AttributeValue::kCeTimestamp: {
      std::string text;
      if (!protojson::AppendTimestampText(value.ce_timestamp(), &text)) text.clear();
      return text;
    }
    case AttributeValue::ATTR_NOT_SET: return {};
  }
  return {};
}

std::optional<std::string> AttributeText(const CloudEvent& event, std::string_view name) {
  if (const std::string* required = RequiredAttribute(event, name)) {
    if (required->empty()) return std::nullopt;
    return *required;
  }
  const AttributeValue* value = FindAttribute(event, name);
  if (value == nullptr || value->attr_case() == AttributeValue::ATTR_NOT_SET) return std::nullopt;
  return AttributeText(*value);
}

std::string_view StringAttribute(const CloudEvent& event, std::string_view name) {
  if (const std::string* required = RequiredAttribute(event, name)) return *required;
  const AttributeValue* value = FindAttribute(event, name);
  if (value == nullptr) return {};
  switch (value->attr_case()) {
    case AttributeValue::kCeString: return value->ce_string();
    case AttributeValue::kCeUri: return value->ce_uri();
    case AttributeValue::kCeUriRef: return value->ce_uri_ref();
    default: return {};
  }
}

std::string_view DataContentType(const CloudEvent& event) {
  return StringAttribute(event, "datacontenttype");
}

absl::Status SetAttributeFromText(std::string_view name, std::string_view text, CloudEvent* event) {
  if (name == "id") {
    event->set_id(std::string(text));
  } else if (name == "source") {
    event->set_source(std::string(text));
  } else if (name == "type") {
    event->set_type(std::string(text));
  } else if (name == "specversion") {
    event->set_spec_version(std::string(text));
  } else if (name == "time") {
    google::protobuf::Timestamp time;
    if (!protojson::ParseTimestampText(text, &time)) {
      return FieldError(name, "expected an RFC 3339 time, as in \"2026-01-02T03:04:05.678Z\"");
    }
    *(*event->mutable_attributes())["time"].mutable_ce_timestamp() = time;
  } else if (name == "dataschema") {
    (*event->mutable_attributes())["dataschema"].set_ce_uri(std::string(text));
  } else {
    (*event->mutable_attributes())[std::string(name)].set_ce_string(std::string(text));
  }
  return absl::OkStatus();
}

bool HasData(const CloudEvent& event) { return event.data_case() != CloudEvent::DATA_NOT_SET; }

std::string_view Data(const CloudEvent& event) {
  switch (event.data_case()) {
    case CloudEvent::kBinaryData: return event.binary_data();
    case CloudEvent::kTextData: return event.text_data();
    case CloudEvent::kProtoData: return event.proto_data().value();
    case CloudEvent::DATA_NOT_SET: return {};
  }
  return {};
}

bool IsJsonContentType(std::string_view content_type) {
  const std::string_view media = Trimmed(content_type.substr(0, content_type.find(';')));
  if (media.empty()) return true;
  const std::size_t slash = media.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view subtype = media.substr(slash + 1);
  return EqualsIgnoringCase(subtype, "json") ||
         (subtype.size() > 5 && EqualsIgnoringCase(subtype.substr(subtype.size() - 5), "+json"));
}

}  // namespace penstock::cloudevents
