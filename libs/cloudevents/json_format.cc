#include "libs/cloudevents/json_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "libs/base/status.h"
#include "libs/base/utf8.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/hooks.h"
#include "libs/protojson/numbers.h"
#include "libs/protojson/scalar.h"
#include "libs/protojson/time_text.h"

namespace penstock::cloudevents {
namespace {

using protojson::ExpectedError;
using protojson::JsonKind;
using protojson::JsonPath;
using protojson::JsonValue;
using protojson::JsonWriter;

// Nesting of a payload that is written as JSON: far above what is read, as payloads of binary mode
// are not looked into.
constexpr int kMaxWrittenDepth = 128;

// Content types whose payloads are never shown as text, even when their bytes happen to be.
constexpr std::string_view kBinaryTypes[] = {"application/octet-stream",
                                             "application/protobuf",
                                             "application/x-protobuf",
                                             "application/gzip",
                                             "application/zip",
                                             "application/pdf",
                                             "application/avro",
                                             "application/cbor",
                                             "application/msgpack",
                                             "avro/",
                                             "image/",
                                             "audio/",
                                             "video/",
                                             "font/"};

std::string* RequiredField(std::string_view name, CloudEvent* event) {
  if (name == "id") return event->mutable_id();
  if (name == "source") return event->mutable_source();
  if (name == "type") return event->mutable_type();
  if (name == "specversion") return event->mutable_spec_version();
  return nullptr;
}

absl::Status ReadTextAttribute(std::string_view name, std::string_view text, const JsonPath& path,
                               AttributeValue* attribute) {
  if (name == "time") {
    if (protojson::ParseTimestampText(text, attribute->mutable_ce_timestamp())) {
      return absl::OkStatus();
    }
    return path.Error("expected an RFC 3339 time, as in \"2026-01-02T03:04:05.678Z\"");
  }
  if (name == "dataschema") {
    attribute->set_ce_uri(std::string(text));
  } else {
    attribute->set_ce_string(std::string(text));
  }
  return absl::OkStatus();
}

// An optional or extension attribute.
absl::Status ReadAttribute(std::string_view name, const JsonValue& value, const JsonPath& path,
                           CloudEvent* event) {
  auto& attributes = *event->mutable_attributes();
  std::string key(name);
  if (attributes.contains(key)) return path.Error("is given twice");
  if (value.is_null()) return absl::OkStatus();
  AttributeValue attribute;
  switch (value.kind()) {
    case JsonKind::kString:
      RETURN_IF_ERROR(ReadTextAttribute(name, value.text(), path, &attribute));
      break;
    case JsonKind::kBool: attribute.set_ce_boolean(value.boolean()); break;
    case JsonKind::kNumber: {
      std::int32_t number;
      if (protojson::ParseInt32(value.text(), &number) != protojson::NumberResult::kOk) {
        return path.Error("expected an integer of 32 bits: an attribute has no other numbers");
      }
      attribute.set_ce_integer(number);
      break;
    }
    default: return ExpectedError(path, "a string, boolean or integer", value);
  }
  attributes[key] = std::move(attribute);
  return absl::OkStatus();
}

absl::Status ReadData(const JsonValue& value, const JsonPath& path, CloudEvent* event) {
  const std::string_view content_type = DataContentType(*event);
  if (IsJsonContentType(content_type)) {
    event->set_binary_data(std::string(value.raw()));
    return absl::OkStatus();
  }
  if (!value.is_string()) {
    return ExpectedError(path, fmt::format("a string, as datacontenttype is {}", content_type),
                         value);
  }
  event->set_binary_data(std::string(value.text()));
  return absl::OkStatus();
}

absl::Status ReadDataBase64(const JsonValue& value, const JsonPath& path, CloudEvent* event) {
  if (!value.is_string()) return ExpectedError(path, "a string in base64", value);
  if (!protojson::DecodeBase64(value.text(), event->mutable_binary_data())) {
    return path.Error("expected bytes in base64");
  }
  return absl::OkStatus();
}

// The members of an event that wait for the others: how to read them depends on datacontenttype.
struct DataMembers {
  std::optional<JsonValue> data;
  std::optional<JsonValue> base64;
};

absl::Status ReadMember(std::string_view name, const JsonValue& value, const JsonPath& path,
                        CloudEvent* event, DataMembers* data) {
  const bool is_data = name == "data";
  if (is_data || name == "data_base64") {
    auto& slot = is_data ? data->data : data->base64;
    if (slot) return path.Error("is given twice");
    slot = value;
    return absl::OkStatus();
  }
  std::string* required = RequiredField(name, event);
  if (required == nullptr) return ReadAttribute(name, value, path, event);
  if (!value.is_string()) return ExpectedError(path, "a string", value);
  if (!required->empty()) return path.Error("is given twice");
  if (value.text().empty()) return path.Error("is required and must not be empty");
  required->assign(value.text());
  return absl::OkStatus();
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f;
}

// Whether a payload that is not JSON is shown as a string.
bool IsText(std::string_view content_type, std::string_view data) {
  std::string lower(content_type.substr(0, content_type.find(';')));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const std::string_view binary : kBinaryTypes) {
    if (lower.starts_with(binary)) return false;
  }
  return std::none_of(data.begin(), data.end(), IsControl) && IsValidUtf8(data);
}

void WriteData(const CloudEvent& event, JsonWriter& writer) {
  if (!HasData(event)) return;
  const std::string_view data = Data(event);
  const std::string_view content_type = DataContentType(event);
  const bool is_proto = event.has_proto_data();
  if (!is_proto && IsJsonContentType(content_type)) {
    if (protojson::IsValidJson(data, kMaxWrittenDepth)) {
      writer.QuotedKey("\"data\":");
      // Without the white space around the value, which JSON allows at both ends.
      const std::size_t begin = data.find_first_not_of(" \t\r\n");
      const std::size_t end = data.find_last_not_of(" \t\r\n");
      return writer.RawJson(data.substr(begin, end - begin + 1));
    }
  } else if (!is_proto && IsText(content_type, data)) {
    writer.QuotedKey("\"data\":");
    return writer.String(data);
  }
  writer.QuotedKey("\"data_base64\":");
  writer.Base64(data);
}

absl::Status WriteAttribute(std::string_view name, const AttributeValue& value,
                            JsonWriter& writer) {
  switch (value.attr_case()) {
    case AttributeValue::ATTR_NOT_SET: return absl::OkStatus();
    case AttributeValue::kCeBoolean:
      writer.Key(name);
      writer.Bool(value.ce_boolean());
      return absl::OkStatus();
    case AttributeValue::kCeInteger:
      writer.Key(name);
      writer.Int(value.ce_integer());
      return absl::OkStatus();
    case AttributeValue::kCeTimestamp:
      if (!protojson::IsValidTimestamp(value.ce_timestamp())) {
        return FieldError(name, "expected a time of the years 1 to 9999");
      }
      break;
    default: break;
  }
  writer.Key(name);
  writer.String(AttributeText(value));
  return absl::OkStatus();
}

absl::Status WriteAttributes(const CloudEvent& event, JsonWriter& writer) {
  std::vector<std::pair<std::string_view, const AttributeValue*>> sorted;
  sorted.reserve(event.attributes().size());
  for (const auto& [name, value] : event.attributes()) sorted.emplace_back(name, &value);
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [name, value] : sorted) RETURN_IF_ERROR(WriteAttribute(name, *value, writer));
  if (event.has_proto_data()) {
    if (!event.attributes().contains("datacontenttype")) {
      writer.Key("datacontenttype");
      writer.String("application/protobuf");
    }
    if (!event.attributes().contains("dataschema")) {
      writer.Key("dataschema");
      writer.String(event.proto_data().type_url());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadEvent(const JsonValue& value, const JsonPath& path, CloudEvent* event) {
  if (!value.is_object()) return ExpectedError(path, "a CloudEvent as an object", value);
  DataMembers data;
  for (const auto& [name, member] : value.members()) {
    RETURN_IF_ERROR(ReadMember(name, member, JsonPath(path, name), event, &data));
  }
  const bool has_data = data.data && !data.data->is_null();
  const bool has_base64 = data.base64 && !data.base64->is_null();
  if (has_data && has_base64) {
    return JsonPath(path, "data_base64").Error("excludes `data`: expected one of the two at most");
  }
  if (has_data) return ReadData(*data.data, JsonPath(path, "data"), event);
  if (has_base64) return ReadDataBase64(*data.base64, JsonPath(path, "data_base64"), event);
  return absl::OkStatus();
}

absl::Status WriteEvent(const CloudEvent& event, JsonWriter& writer) {
  writer.BeginObject();
  // An event that lacks a required attribute is written without it, so that it can be read again.
  const auto write = [&](std::string_view key_with_colon, const std::string& value) {
    if (value.empty()) return;
    writer.QuotedKey(key_with_colon);
    writer.String(value);
  };
  write("\"specversion\":", event.spec_version());
  write("\"id\":", event.id());
  write("\"source\":", event.source());
  write("\"type\":", event.type());
  RETURN_IF_ERROR(WriteAttributes(event, writer));
  WriteData(event, writer);
  writer.EndObject();
  return absl::OkStatus();
}

absl::StatusOr<CloudEvent> FromJson(std::string_view json) {
  protojson::JsonDocument document;
  RETURN_IF_ERROR(document.Parse(json));
  CloudEvent event;
  RETURN_IF_ERROR(ReadEvent(document.root(), JsonPath(), &event));
  return event;
}

absl::StatusOr<std::vector<absl::StatusOr<CloudEvent>>> FromJsonBatch(std::string_view json) {
  protojson::JsonDocument document;
  RETURN_IF_ERROR(document.Parse(json));
  const JsonPath root;
  if (!document.root().is_array()) {
    return ExpectedError(root, "an array of CloudEvents", document.root());
  }
  std::vector<absl::StatusOr<CloudEvent>> events;
  events.reserve(document.root().size());
  for (const JsonValue element : document.root().elements()) {
    CloudEvent event;
    absl::Status status = ReadEvent(element, JsonPath(root, events.size()), &event);
    if (status.ok()) {
      events.emplace_back(std::move(event));
    } else {
      events.emplace_back(std::move(status));
    }
  }
  return events;
}

absl::Status AppendJson(const CloudEvent& event, std::string* out, bool pretty) {
  JsonWriter writer(out, pretty);
  return WriteEvent(event, writer);
}

absl::StatusOr<std::string> ToJson(const CloudEvent& event) {
  std::string out;
  out.reserve(256 + Data(event).size());
  RETURN_IF_ERROR(AppendJson(event, &out));
  return out;
}

absl::StatusOr<std::string> ToJsonBatch(const CloudEventBatch& batch) {
  std::string out;
  JsonWriter writer(&out);
  writer.BeginArray();
  for (const CloudEvent& event : batch.events()) RETURN_IF_ERROR(WriteEvent(event, writer));
  writer.EndArray();
  return out;
}

void RegisterJsonForm() {
  using google::protobuf::Message;
  protojson::RegisterJsonHook(
      CloudEvent::descriptor()->full_name(),
      {.read =
           [](const JsonValue& value, const JsonPath& path, Message* message) {
             auto* event = google::protobuf::DynamicCastToGenerated<CloudEvent>(message);
             if (event == nullptr) return absl::InternalError("not a compiled-in CloudEvent");
             return ReadEvent(value, path, event);
           },
       .write =
           [](const Message& message, JsonWriter& writer) {
             const auto* event = google::protobuf::DynamicCastToGenerated<CloudEvent>(&message);
             if (event == nullptr) return absl::InternalError("not a compiled-in CloudEvent");
             return WriteEvent(*event, writer);
           }});
}

}  // namespace penstock::cloudevents
