#include "services/gateway/api/web_metadata.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "libs/base/status.h"
#include "libs/protojson/base64.h"
#include "services/gateway/api/http_metadata.h"

namespace penstock::gateway {
namespace {

template <std::size_t kSize>
bool IsAmong(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Of a connection, or of the content that HTTP carries, whichever way it goes.
bool IsOfHttp(std::string_view name) {
  static constexpr std::array<std::string_view, 13> kNames = {"connection",
                                                              "content-encoding",
                                                              "content-length",
                                                              "content-type",
                                                              "date",
                                                              "keep-alive",
                                                              "proxy-authenticate",
                                                              "te",
                                                              "trailer",
                                                              "transfer-encoding",
                                                              "proxy-authorization",
                                                              "upgrade",
                                                              "proxy-connection"};
  return name.starts_with(':') || IsAmong(kNames, name);
}

bool PassesUp(std::string_view name) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "accept", "accept-encoding",  "expect",           "host",
      "origin", rpc::kPeerTokenKey, rpc::kPrincipalKey, "x-grpc-web"};
  static constexpr std::array<std::string_view, 3> kGrpc = {"grpc-previous-rpc-attempts",
                                                            "grpc-tags-bin", "grpc-trace-bin"};
  if (name.starts_with("grpc-")) return IsAmong(kGrpc, name);
  return !name.starts_with("connect-") && !name.starts_with("access-control-") &&
         !name.starts_with("sec-") && !IsOfHttp(name) && !IsAmong(kNames, name);
}

bool PassesDown(std::string_view name) {
  return !name.starts_with("grpc-") && !name.starts_with("connect-") &&
         !name.starts_with("access-control-") && !IsOfHttp(name);
}

// Adds the values of one binary header: a list with commas is several.
absl::Status AddBinary(const http::Headers::Field& header, const std::string& key,
                       rpc::MetadataList& metadata) {
  std::string_view rest = header.value;
  for (bool is_last = false; !is_last;) {
    const std::size_t comma = rest.find(',');
    is_last = comma == std::string_view::npos;
    std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(is_last ? rest.size() : comma + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    std::string value;
    if (!protojson::DecodeBase64(part, &value)) {
      return FieldError(header.name, "expected base64, as the key ends in -bin");
    }
    metadata.emplace_back(key, std::move(value));
  }
  return absl::OkStatus();
}

void AddAnswer(std::string_view key, std::string text, webrpc::MetadataText& answer) {
  if (!PassesDown(key) || !IsMetadataKey(key) || !IsMetadataValue(text)) return;
  answer.emplace_back(std::string(key), std::move(text));
}

}  // namespace

absl::StatusOr<rpc::MetadataList> MetadataOfRequest(const http::Headers& headers) {
  rpc::MetadataList metadata;
  for (const http::Headers::Field header : headers) {
    std::string key(header.name);
    absl::AsciiStrToLower(&key);
    if (!PassesUp(key) || !IsMetadataKey(key) || headers.HasToken("Connection", key)) continue;
    if (key.ends_with("-bin")) {
      RETURN_IF_ERROR(AddBinary(header, key, metadata));
    } else if (IsMetadataValue(header.value)) {
      metadata.emplace_back(std::move(key), std::string(header.value));
    }
  }
  return metadata;
}

webrpc::MetadataText AnswerMetadata(const h2::Fields& fields) {
  webrpc::MetadataText answer;
  for (const h2::Fields::Field field : fields) {
    AddAnswer(field.name, std::string(field.value), answer);
  }
  return answer;
}

webrpc::MetadataText AnswerMetadata(const rpc::MetadataList& metadata) {
  webrpc::MetadataText answer;
  for (const auto& [key, value] : metadata) AddAnswer(key, EncodedValue(key, value), answer);
  return answer;
}

std::string EncodedValue(std::string_view key, std::string_view value) {
  if (!key.ends_with("-bin")) return std::string(value);
  std::string text;
  protojson::AppendBase64(value, &text);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

}  // namespace penstock::gateway
