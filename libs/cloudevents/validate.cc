#include "libs/cloudevents/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/protojson/time_text.h"

namespace penstock::cloudevents {
namespace {

constexpr std::size_t kMaxShownName = 64;

std::uint32_t CodePoint(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  std::uint32_t point = byte(0) & (0xffu >> (sequence.size() + 1));
  for (std::size_t i = 1; i < sequence.size(); ++i) point = point << 6 | (byte(i) & 0x3f);
  return point;
}

bool IsForbiddenPoint(std::uint32_t point) {
  return point <= 0x9f || (point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) == 0xfffe;
}

// A string of the specification's type system: no control characters, no noncharacters, valid
// UTF-8.
absl::Status CheckText(std::string_view name, std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7f) {
      ++i;
      continue;
    }
    if (c < 0x80) return FieldError(name, "expected text without control characters");
    const std::size_t length = Utf8SequenceLength(text.substr(i));
    if (length == 0) return FieldError(name, "expected text in UTF-8");
    if (IsForbiddenPoint(CodePoint(text.substr(i, length)))) {
      return FieldError(name, "expected text without control characters and noncharacters");
    }
    i += length;
  }
  return absl::OkStatus();
}

absl::Status CheckRequired(std::string_view name, std::string_view value, std::size_t max_length) {
  if (value.empty()) return FieldError(name, "is required and must not be empty");
  if (value.size() > max_length) {
    return FieldError(name,
                      fmt::format("expected at most {} bytes, got {}", max_length, value.size()));
  }
  return CheckText(name, value);
}

absl::Status CheckName(std::string_view name) {
  const bool characters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
  if (!characters || name.empty() || name.size() > kMaxAttributeNameLength) {
    const std::string shown(name.substr(0, kMaxShownName));
    return FieldError(shown.empty() || !IsValidUtf8(shown) ? "attributes" : shown,
                      "expected an attribute name of 1 to 64 characters of a-z and 0-9");
  }
  if (name == "data" || name == "id" || name == "source" || name == "type" ||
      name == "specversion") {
    return FieldError(name, "is reserved and cannot be an extension attribute");
  }
  return absl::OkStatus();
}

// Printable ASCII only, as it becomes a header's value as it is.
bool IsContentType(std::string_view text) {
  const std::string_view media = text.substr(0, text.find(';'));
  const std::size_t slash = media.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < media.size() &&
         media.find_first_of(",\"") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

absl::Status CheckString(std::string_view name, std::string_view text) {
  RETURN_IF_ERROR(CheckText(name, text));
  if (name == "subject" && text.empty()) return FieldError(name, "expected a non-empty string");
  if (name == "datacontenttype" && !IsContentType(text)) {
    return FieldError(name, "expected a media type, as in \"application/json\"");
  }
  return absl::OkStatus();
}

// Whether an attribute of the specification has its own type; extensions may have any.
absl::Status CheckType(std::string_view name, AttributeValue::AttrCase type) {
  const bool is_string = type == AttributeValue::kCeString;
  if (name == "time" && type != AttributeValue::kCeTimestamp) {
    return FieldError(name, "expected a timestamp");
  }
  if (name == "dataschema" && !is_string && type != AttributeValue::kCeUri) {
    return FieldError(name, "expected a URI");
  }
  if ((name == "subject" || name == "datacontenttype") && !is_string) {
    return FieldError(name, "expected a string");
  }
  return absl::OkStatus();
}

absl::Status CheckAttribute(std::string_view name, const AttributeValue& value,
                            std::size_t* bytes) {
  RETURN_IF_ERROR(CheckName(name));
  RETURN_IF_ERROR(CheckType(name, value.attr_case()));
  switch (value.attr_case()) {
    case AttributeValue::kCeBoolean:
    case AttributeValue::kCeInteger: *bytes += sizeof(std::int32_t); break;
    case AttributeValue::kCeBytes: *bytes += value.ce_bytes().size(); break;
    case AttributeValue::kCeString:
      *bytes += value.ce_string().size();
      if (name == "dataschema" && !IsUri(value.ce_string())) {
        return FieldError(name, "expected an absolute URI (RFC 3986)");
      }
      return CheckString(name, value.ce_string());
    case AttributeValue::kCeUri:
      *bytes += value.ce_uri().size();
      if (!IsUri(value.ce_uri())) {
        return FieldError(name, "expected an absolute URI (RFC 3986)");
      }
      break;
    case AttributeValue::kCeUriRef:
      *bytes += value.ce_uri_ref().size();
      if (!IsUriReference(value.ce_uri_ref())) {
        return FieldError(name, "expected a URI reference (RFC 3986)");
      }
      break;
    case AttributeValue::kCeTimestamp:
      *bytes += sizeof("2026-01-02T03:04:05.678901234Z") - 1;
      if (!protojson::IsValidTimestamp(value.ce_timestamp())) {
        return FieldError(name, "expected a time of the years 1 to 9999");
      }
      break;
    case AttributeValue::ATTR_NOT_SET: return FieldError(name, "expected a value");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const CloudEvent& event, const Limits& limits) {
  RETURN_IF_ERROR(CheckRequired("id", event.id(), kMaxIdLength));
  RETURN_IF_ERROR(CheckRequired("source", event.source(), kMaxSourceLength));
  if (!IsUriReference(event.source())) {
    return FieldError("source", "expected a URI reference (RFC 3986), as in \"/shop\"");
  }
  if (event.spec_version() != kSpecVersion) {
    return FieldError("specversion", event.spec_version().empty() ? "is required: expected \"1.0\""
                                                                  : "expected \"1.0\"");
  }
  RETURN_IF_ERROR(CheckRequired("type", event.type(), kMaxTypeLength));
  std::size_t bytes = event.id().size() + event.source().size() + event.type().size();
  for (const auto& [name, value] : event.attributes()) {
    bytes += name.size();
    RETURN_IF_ERROR(CheckAttribute(name, value, &bytes));
  }
  if (bytes > limits.max_attribute_bytes) {
    return FieldError("attributes", fmt::format("expected at most {} bytes in all, got {}",
                                                limits.max_attribute_bytes, bytes));
  }
  if (const std::size_t size = Data(event).size(); size > limits.max_data_bytes) {
    return FieldError(
        "data", fmt::format("expected at most {} bytes, got {}", limits.max_data_bytes, size));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cloudevents
