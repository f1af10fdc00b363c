#include "libs/cloudevents/http_binding.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "libs/base/status.h"
#include "libs/cloudevents/json_format.h"
#include "libs/protojson/json_tree.h"

namespace penstock::cloudevents {
namespace {

constexpr std::string_view kEventTypePrefix = "application/cloudevents";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(),
                                                   [](char a, char b) { return Lower(a) == b; });
}

bool IsEventHeader(std::string_view name) {
  return name.size() > 3 && Lower(name[0]) == 'c' && Lower(name[1]) == 'e' && name[2] == '-';
}

// The value of Content-Type, or empty.
std::string_view ContentType(std::span<const HeaderView> headers) {
  for (const auto& [name, value] : headers) {
    if (EqualsIgnoringCase(name, "content-type")) return value;
  }
  return {};
}

std::string_view MediaType(std::string_view content_type) {
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (media.ends_with(' ') || media.ends_with('\t')) media.remove_suffix(1);
  while (media.starts_with(' ') || media.starts_with('\t')) media.remove_prefix(1);
  return media;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// What stands between double quotes, its backslashes taken off; other values as they are.
std::string Unquoted(std::string_view value) {
  if (value.size() < 2 || !value.starts_with('"') || !value.ends_with('"')) {
    return std::string(value);
  }
  std::string text;
  for (std::size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '\\' && i + 2 < value.size()) ++i;
    text.push_back(value[i]);
  }
  return text;
}

absl::Status ReadHeader(std::string_view header, std::string_view value, CloudEvent* event) {
  std::string name(header.substr(3));
  std::transform(name.begin(), name.end(), name.begin(), Lower);
  if (name == "datacontenttype") {
    return FieldError(name,
                      "is the Content-Type header in binary mode: expected no header ce-" + name);
  }
  if (!StringAttribute(*event, name).empty() || event->attributes().contains(name)) {
    return FieldError(name, "is given twice");
  }
  return SetAttributeFromText(name, DecodeHeaderValue(value), event);
}

absl::StatusOr<DecodedEvents> One(absl::StatusOr<CloudEvent> event) {
  if (!event.ok()) return std::move(event).status();
  DecodedEvents decoded;
  decoded.events.push_back(std::move(event));
  return decoded;
}

bool ParseBytes(std::string_view bytes, google::protobuf::Message* message) {
  return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
         message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// What is written into headers must not be able to end one, whoever made the event.
bool IsHeaderText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

bool IsAttributeName(std::string_view name) {
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// The content type to send: what is implied where the event came from is said in binary mode.
std::string_view SentContentType(const CloudEvent& event) {
  const std::string_view content_type = DataContentType(event);
  if (!content_type.empty()) return IsHeaderText(content_type) ? content_type : "";
  if (!HasData(event)) return {};
  if (event.has_proto_data()) return "application/protobuf";
  return protojson::IsValidJson(Data(event)) ? "application/json" : "";
}

}  // namespace

Mode ModeOf(std::span<const HeaderView> headers) {
  const std::string_view media = MediaType(ContentType(headers));
  if (media.size() >= kEventTypePrefix.size() &&
      EqualsIgnoringCase(media.substr(0, kEventTypePrefix.size()), kEventTypePrefix)) {
    if (EqualsIgnoringCase(media, kJsonType)) return Mode::kJson;
    if (EqualsIgnoringCase(media, kJsonBatchType)) return Mode::kJsonBatch;
    if (EqualsIgnoringCase(media, kProtobufType)) return Mode::kProtobuf;
    if (EqualsIgnoringCase(media, kProtobufBatchType)) return Mode::kProtobufBatch;
    return Mode::kUnsupported;
  }
  for (const auto& [name, value] : headers) {
    if (!IsEventHeader(name)) continue;
    const std::string_view attribute = name.substr(3);
    if (EqualsIgnoringCase(attribute, "id") || EqualsIgnoringCase(attribute, "type") ||
        EqualsIgnoringCase(attribute, "source") || EqualsIgnoringCase(attribute, "specversion")) {
      return Mode::kBinary;
    }
  }
  return Mode::kNone;
}

absl::StatusOr<DecodedEvents> FromHttp(std::span<const HeaderView> headers, std::string_view body) {
  switch (ModeOf(headers)) {
    case Mode::kBinary: return One(FromHttpBinary(headers, body));
    case Mode::kJson: return One(FromJson(body));
    case Mode::kProtobuf: return One(FromProtobuf(body));
    case Mode::kJsonBatch: {
      ASSIGN_OR_RETURN(auto events, FromJsonBatch(body));
      return DecodedEvents{.batch = true, .events = std::move(events)};
    }
    case Mode::kProtobufBatch: {
      ASSIGN_OR_RETURN(auto batch, FromProtobufBatch(body));
      DecodedEvents decoded{.batch = true, .events = {}};
      for (CloudEvent& event : *batch.mutable_events()) {
        decoded.events.emplace_back(std::move(event));
      }
      return decoded;
    }
    case Mode::kUnsupported:
      return absl::UnimplementedError(fmt::format("Content-Type: expected {}, {}, {} or {}",
                                                  kJsonType, kJsonBatchType, kProtobufType,
                                                  kProtobufBatchType));
    case Mode::kNone: break;
  }
  return absl::InvalidArgumentError(
      "no CloudEvent: expected ce-id, ce-source, ce-specversion and ce-type headers, or a "
      "Content-Type of application/cloudevents+json");
}

absl::StatusOr<CloudEvent> FromHttpBinary(std::span<const HeaderView> headers,
                                          std::string_view body) {
  CloudEvent event;
  bool has_content_type = false;
  for (const auto& [name, value] : headers) {
    if (IsEventHeader(name)) {
      RETURN_IF_ERROR(ReadHeader(name, value, &event));
    } else if (EqualsIgnoringCase(name, "content-type")) {
      if (has_content_type) return FieldError("datacontenttype", "is given twice");
      has_content_type = true;
      if (value.empty()) continue;
      (*event.mutable_attributes())["datacontenttype"].set_ce_string(std::string(value));
    }
  }
  if (!body.empty()) event.set_binary_data(std::string(body));
  return event;
}

std::vector<Header> ToHttpBinaryHeaders(const CloudEvent& event) {
  std::vector<Header> headers;
  headers.reserve(event.attributes().size() + 5);
  if (const std::string_view type = SentContentType(event); !type.empty()) {
    headers.emplace_back("content-type", type);
  }
  headers.emplace_back("ce-specversion", EncodeHeaderValue(event.spec_version()));
  headers.emplace_back("ce-id", EncodeHeaderValue(event.id()));
  headers.emplace_back("ce-source", EncodeHeaderValue(event.source()));
  headers.emplace_back("ce-type", EncodeHeaderValue(event.type()));
  const auto required = static_cast<std::ptrdiff_t>(headers.size());
  for (const auto& [name, value] : event.attributes()) {
    if (name == "datacontenttype" || value.attr_case() == AttributeValue::ATTR_NOT_SET ||
        !IsAttributeName(name)) {
      continue;
    }
    headers.emplace_back("ce-" + name, EncodeHeaderValue(AttributeText(value)));
  }
  if (event.has_proto_data() && !event.attributes().contains("dataschema")) {
    headers.emplace_back("ce-dataschema", EncodeHeaderValue(event.proto_data().type_url()));
  }
  std::sort(headers.begin() + required, headers.end());
  return headers;
}

absl::StatusOr<CloudEvent> FromProtobuf(std::string_view bytes) {
  CloudEvent event;
  if (!ParseBytes(bytes, &event)) {
    return absl::InvalidArgumentError("expected an io.cloudevents.v1.CloudEvent in protobuf");
  }
  return event;
}

absl::StatusOr<CloudEventBatch> FromProtobufBatch(std::string_view bytes) {
  CloudEventBatch batch;
  if (!ParseBytes(bytes, &batch)) {
    return absl::InvalidArgumentError("expected an io.cloudevents.v1.CloudEventBatch in protobuf");
  }
  return batch;
}

std::string ToProtobuf(const CloudEvent& event) { return event.SerializeAsString(); }

std::string ToProtobufBatch(const CloudEventBatch& batch) { return batch.SerializeAsString(); }

std::string EncodeHeaderValue(std::string_view value) {
  const auto is_plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '%'; };
  const auto plain = static_cast<std::size_t>(
      std::find_if_not(value.begin(), value.end(), is_plain) - value.begin());
  std::string encoded(value.substr(0, plain));
  for (const char c : value.substr(plain)) {
    if (is_plain(c)) {
      encoded.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string DecodeHeaderValue(std::string_view value) {
  std::string text = Unquoted(value);
  std::size_t from = text.find('%');
  if (from == std::string::npos) return text;
  std::size_t to = from;
  while (from < text.size()) {
    const int high = text[from] == '%' && from + 2 < text.size() ? HexDigit(text[from + 1]) : -1;
    const int low = high < 0 ? -1 : HexDigit(text[from + 2]);
    if (low < 0) {
      text[to++] = text[from++];
    } else {
      text[to++] = static_cast<char>(high << 4 | low);
      from += 3;
    }
  }
  text.resize(to);
  return text;
}

}  // namespace penstock::cloudevents
