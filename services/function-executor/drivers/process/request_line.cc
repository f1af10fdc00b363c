#include "services/function-executor/drivers/process/request_line.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "libs/base/time.h"
#include "libs/base/utf8.h"
#include "services/function-executor/domain/content_type.h"
#include "services/function-executor/drivers/process/json_text.h"

namespace penstock::executor {
namespace {

// Writes members of one JSON object, commas included.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string* out) : out_(out) { *out_ += '{'; }

  // Begins a member; the caller appends its value to the returned text.
  std::string* Key(std::string_view key) {
    if (!first_) *out_ += ',';
    first_ = false;
    AppendJsonString(key, out_);
    *out_ += ':';
    return out_;
  }
  void String(std::string_view key, std::string_view value) { AppendJsonString(value, Key(key)); }
  void StringUnlessEmpty(std::string_view key, std::string_view value) {
    if (!value.empty()) String(key, value);
  }
  void StringMap(std::string_view key, const std::map<std::string, std::string>& values) {
    ObjectWriter object(Key(key));
    for (const auto& [name, value] : values) object.String(name, value);
    object.End();
  }
  void End() { *out_ += '}'; }

 private:
  std::string* const out_;
  bool first_ = true;
};

void WriteEvent(const EventAttributes& event, ObjectWriter* context) {
  ObjectWriter object(context->Key("event"));
  object.String("specversion", event.spec_version);
  object.String("id", event.id);
  object.String("source", event.source);
  object.String("type", event.type);
  for (const auto& [name, value] : event.others) object.String(name, value);
  object.End();
}

// Values under one name, in the order of arrival.
std::map<std::string, std::vector<std::string_view>> Group(
    const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::map<std::string, std::vector<std::string_view>> groups;
  for (const auto& [name, value] : pairs) groups[name].push_back(value);
  return groups;
}

void WriteHttp(const HttpRequestContext& http, ObjectWriter* context) {
  ObjectWriter object(context->Key("http"));
  object.String("method", http.method);
  object.String("path", http.path);
  object.String("host", http.host);
  // A query parameter may stand several times and mean each; repeated headers are one list (RFC
  // 9110).
  ObjectWriter query(object.Key("query"));
  for (const auto& [name, values] : Group(http.query)) {
    std::string* out = query.Key(name);
    *out += '[';
    for (const std::string_view& value : values) {
      if (&value != values.data()) *out += ',';
      AppendJsonString(value, out);
    }
    *out += ']';
  }
  query.End();
  ObjectWriter headers(object.Key("headers"));
  for (const auto& [name, values] : Group(http.headers)) {
    std::string joined;
    for (const std::string_view& value : values) {
      if (&value != values.data()) joined += ", ";
      joined += value;
    }
    headers.String(name, joined);
  }
  headers.End();
  object.StringMap("params", http.params);
  object.End();
}

void WriteContext(const Invocation& invocation, std::string* out) {
  ObjectWriter context(out);
  context.String("executionId", invocation.execution_id);
  context.String("function", invocation.function->id);
  context.String("space", invocation.function->space);
  *context.Key("version") += std::to_string(invocation.function->version);
  context.String("deadline", FormatRfc3339(invocation.deadline_wall));
  *context.Key("attempt") += std::to_string(invocation.attempt);
  if (invocation.replay) *context.Key("replay") += "true";
  context.StringUnlessEmpty("traceparent", invocation.traceparent);
  if (invocation.batch) {
    *context.Key("batchSize") += std::to_string(invocation.batch->size());
  } else {
    context.StringUnlessEmpty("deliveryId", invocation.delivery_id);
    if (invocation.event) WriteEvent(*invocation.event, &context);
  }
  if (invocation.http) WriteHttp(*invocation.http, &context);
  ObjectWriter secrets(context.Key("secrets"));
  if (invocation.secrets != nullptr) {
    for (const auto& [id, values] : *invocation.secrets) secrets.StringMap(id, values);
  }
  secrets.End();
  context.End();
}

void WriteBase64(const std::string& payload, const std::string& type, std::string* out) {
  ObjectWriter object(out);
  std::string encoded;
  absl::Base64Escape(payload, &encoded);
  object.String("base64", encoded);
  object.StringUnlessEmpty("contentType", type);
  object.End();
}

std::optional<FunctionError> WritePayload(const std::string& payload, const std::string& type,
                                          std::string* out) {
  if (type.empty() || IsJsonContentType(type)) {
    if (payload.empty()) {
      *out += "null";
      return std::nullopt;
    }
    const absl::Status check = CheckJson(payload);
    if (check.ok()) {
      AppendJsonOnOneLine(payload, out);
      return std::nullopt;
    }
    if (!type.empty()) {
      return FunctionError{.category = ErrorCategory::kInput,
                           .type = "InvalidPayload",
                           .message = "payload: expected JSON, as the content type " +
                                      ToUtf8(type) + " says: " + std::string(check.message())};
    }
  } else if (IsTextContentType(type) && IsValidUtf8(payload)) {
    AppendJsonString(payload, out);
    return std::nullopt;
  }
  WriteBase64(payload, type, out);
  return std::nullopt;
}

// As WritePayload for one event of a batch. What is not the JSON that it should be is given as
// bytes: it is for the function to say that this event alone has failed.
void WriteBatchedPayload(const BatchedEvent& one, std::string* out) {
  const std::size_t begin = out->size();
  if (!WritePayload(*one.payload, one.content_type, out)) return;
  out->resize(begin);
  WriteBase64(*one.payload, one.content_type, out);
}

void WriteBatch(const Invocation& invocation, std::string* out) {
  *out += '[';
  for (const BatchedEvent& one : *invocation.batch) {
    if (&one != invocation.batch->data()) *out += ',';
    ObjectWriter item(out);
    ObjectWriter context(item.Key("context"));
    context.String("deliveryId", one.delivery_id);
    *context.Key("attempt") += std::to_string(invocation.attempt);
    WriteEvent(one.event, &context);
    context.End();
    WriteBatchedPayload(one, item.Key("payload"));
    item.End();
  }
  *out += ']';
}

}  // namespace

std::string WritePayloadList(const Batch& batch) {
  std::string text = "[";
  for (const BatchedEvent& one : batch) {
    if (&one != batch.data()) text += ',';
    WriteBatchedPayload(one, &text);
  }
  return text += ']';
}

RequestLine WriteRequestLine(const Invocation& invocation) {
  RequestLine line;
  line.text.reserve(1024 + invocation.payload->size() + invocation.payload->size() / 8);
  line.text += R"({"context":)";
  WriteContext(invocation, &line.text);
  line.text += R"(,"payload":)";
  if (invocation.batch) {
    WriteBatch(invocation, &line.text);
  } else {
    line.error = WritePayload(*invocation.payload, invocation.content_type, &line.text);
  }
  line.text += "}\n";
  return line;
}

}  // namespace penstock::executor
