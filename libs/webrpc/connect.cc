#include "libs/webrpc/connect.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/rpc/status.pb.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "libs/base/percent.h"
#include "libs/base/status.h"
#include "libs/protojson/base64.h"
#include "libs/protojson/json_writer.h"
#include "libs/protojson/protojson.h"

namespace penstock::webrpc {
namespace {

namespace pb = google::protobuf;
using protojson::JsonWriter;

constexpr std::size_t kTimeoutDigitsMax = 10;

std::string UnpaddedBase64(std::string_view bytes) {
  std::string text;
  protojson::AppendBase64(bytes, &text);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

// The detail for people to read; nothing when its type is not compiled in.
std::optional<std::string> DebugJson(const std::string& type, const std::string& value) {
  const pb::Descriptor* descriptor =
      pb::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (descriptor == nullptr) return std::nullopt;
  const pb::Message* prototype = pb::MessageFactory::generated_factory()->GetPrototype(descriptor);
  if (prototype == nullptr) return std::nullopt;
  const std::unique_ptr<pb::Message> message(prototype->New());
  if (!message->ParseFromString(value)) return std::nullopt;
  auto json = protojson::PrintJson(*message);
  return json.ok() ? std::optional(*std::move(json)) : std::nullopt;
}

void WriteDetails(const std::string& details, JsonWriter& writer) {
  google::rpc::Status status;
  if (details.empty() || !status.ParseFromString(details) || status.details().empty()) return;
  writer.Key("details");
  writer.BeginArray();
  for (const pb::Any& detail : status.details()) {
    const std::string type = detail.type_url().substr(detail.type_url().rfind('/') + 1);
    writer.BeginObject();
    writer.Key("type");
    writer.String(type);
    writer.Key("value");
    writer.String(UnpaddedBase64(detail.value()));
    if (const auto debug = DebugJson(type, detail.value())) {
      writer.Key("debug");
      writer.RawJson(*debug);
    }
    writer.EndObject();
  }
  writer.EndArray();
}

void WriteError(const Outcome& outcome, JsonWriter& writer) {
  writer.BeginObject();
  writer.Key("code");
  writer.String(ConnectCode(outcome.code));
  if (!outcome.message.empty()) {
    writer.Key("message");
    writer.String(outcome.message);
  }
  WriteDetails(outcome.details, writer);
  writer.EndObject();
}

// Each name once, with all its values, in the order of their first.
void WriteMetadata(const MetadataText& metadata, JsonWriter& writer) {
  MetadataText rest = metadata;
  std::stable_sort(rest.begin(), rest.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  writer.BeginObject();
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const bool is_first = i == 0 || rest[i].first != rest[i - 1].first;
    const bool is_last = i + 1 == rest.size() || rest[i].first != rest[i + 1].first;
    if (is_first) {
      writer.Key(rest[i].first);
      writer.BeginArray();
    }
    writer.String(rest[i].second);
    if (is_last) writer.EndArray();
  }
  writer.EndObject();
}

// False on a percent sign without two hexadecimal digits after it. A plus is a space.
bool PercentDecode(std::string_view text, std::string* out) {
  out->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(16 * high + low));
    i += 2;
  }
  return true;
}

// The parts of the first parameter, which is taken off `query`.
std::pair<std::string_view, std::string_view> TakeParameter(std::string_view& query) {
  const std::size_t end = std::min(query.find('&'), query.size());
  const std::string_view parameter = query.substr(0, end);
  query.remove_prefix(std::min(end + 1, query.size()));
  const std::size_t equals = std::min(parameter.find('='), parameter.size());
  return {parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size()))};
}

}  // namespace

std::string_view ConnectCode(absl::StatusCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {"",
                                                              "canceled",
                                                              "unknown",
                                                              "invalid_argument",
                                                              "deadline_exceeded",
                                                              "not_found",
                                                              "already_exists",
                                                              "permission_denied",
                                                              "resource_exhausted",
                                                              "failed_precondition",
                                                              "aborted",
                                                              "out_of_range",
                                                              "unimplemented",
                                                              "internal",
                                                              "unavailable",
                                                              "data_loss",
                                                              "unauthenticated"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : kNames[2];
}

std::string ErrorJson(const Outcome& outcome) {
  std::string out;
  JsonWriter writer(&out);
  WriteError(outcome, writer);
  return out;
}

std::string EndOfStreamJson(const Outcome& outcome, const MetadataText& trailers) {
  std::string out;
  JsonWriter writer(&out);
  writer.BeginObject();
  if (outcome.code != absl::StatusCode::kOk) {
    writer.Key("error");
    WriteError(outcome, writer);
  }
  if (!trailers.empty()) {
    writer.Key("metadata");
    WriteMetadata(trailers, writer);
  }
  writer.EndObject();
  return out;
}

absl::StatusOr<std::chrono::milliseconds> ParseConnectTimeout(std::string_view text) {
  const bool is_number =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > kTimeoutDigitsMax || !is_number) {
    return FieldError("Connect-Timeout-Ms", "expected milliseconds in at most ten digits");
  }
  std::int64_t value = 0;
  for (const char c : text) value = 10 * value + (c - '0');
  return std::chrono::milliseconds(value);
}

std::optional<std::string_view> GetVersion(std::string_view query) {
  while (!query.empty()) {
    if (const auto [name, value] = TakeParameter(query); name == "connect") return value;
  }
  return std::nullopt;
}

absl::StatusOr<GetQuery> ParseGetQuery(std::string_view query) {
  GetQuery got;
  std::string base64;
  bool has_message = false;
  struct Parameter {
    std::string_view name;
    std::string* value;
    bool is_there = false;
  };
  std::array<Parameter, 5> parameters = {{{"connect", &got.version},
                                          {"encoding", &got.encoding},
                                          {"compression", &got.compression},
                                          {"base64", &base64},
                                          {"message", &got.message}}};
  while (!query.empty()) {
    const auto [name, value] = TakeParameter(query);
    for (Parameter& parameter : parameters) {
      if (parameter.name != name) continue;
      if (std::exchange(parameter.is_there, true)) return FieldError(name, "is there twice");
      if (!PercentDecode(value, parameter.value)) {
        return FieldError(name, "is not percent-encoded: expected two digits after %");
      }
      has_message |= name == "message";
    }
  }
  if (got.encoding.empty()) return FieldError("encoding", "is missing: expected proto or json");
  if (!has_message) return FieldError("message", "is missing");
  if (base64 == "1") {
    std::string bytes;
    if (!protojson::DecodeBase64(got.message, &bytes)) {
      return FieldError("message", "is not base64, as base64=1 says");
    }
    got.message = std::move(bytes);
  }
  return got;
}

}  // namespace penstock::webrpc
