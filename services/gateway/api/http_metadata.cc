#include "services/gateway/api/http_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/protojson/base64.h"
#include "libs/rpc/metadata.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kMetadataPrefix = "Grpc-Metadata-";
constexpr std::string_view kTrailerPrefix = "Grpc-Trailer-";
constexpr char kTimeout[] = "Grpc-Timeout";
constexpr char kTracestate[] = "tracestate";

std::string Lower(std::string_view text) {
  std::string lower(text);
  absl::AsciiStrToLower(&lower);
  return lower;
}

bool StartsWithoutCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && Lower(text.substr(0, prefix.size())) == Lower(prefix);
}

// Keys that mean something to HTTP/2, to gRPC or to the services of this suite.
bool IsReserved(std::string_view key) {
  static constexpr std::array kNames = {"connection", "content-length",      "content-type",
                                        "host",       "keep-alive",          "proxy-connection",
                                        "te",         rpc::kTraceparentKey,  kTracestate,
                                        "trailer",    "transfer-encoding",   "upgrade",
                                        "user-agent", "proxy-authorization", "proxy-authenticate"};
  return key.starts_with("grpc-") || key.starts_with("penstock-") || key.starts_with(':') ||
         std::find(kNames.begin(), kNames.end(), key) != kNames.end();
}

// Adds one header as metadata `key`.
absl::Status AddOne(const http::Headers::Field& header, std::string key,
                    rpc::CallOptions* options) {
  if (IsReserved(key)) return absl::OkStatus();
  if (!IsMetadataKey(key)) return FieldError(header.name, "is no key of gRPC metadata");
  std::string value(header.value);
  if (key.ends_with("-bin")) {
    value.clear();
    if (!protojson::DecodeBase64(header.value, &value)) {
      return FieldError(header.name, "expected base64, as the key ends in -bin");
    }
  } else if (!IsMetadataValue(value)) {
    return FieldError(header.name, "expected printable ASCII, or a key in -bin and base64");
  }
  options->metadata.emplace_back(std::move(key), std::move(value));
  return absl::OkStatus();
}

bool Names(const std::vector<std::string>& names, std::string_view key) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Lower(name) == key; });
}

void AddAnswer(const rpc::MetadataList& metadata, std::string_view prefix, const HeaderRules& rules,
               http::Headers* headers) {
  for (const auto& [key, value] : metadata) {
    if (IsReserved(key)) continue;
    std::string text = key.ends_with("-bin") ? absl::Base64Escape(value) : value;
    if (!IsMetadataValue(text)) continue;
    headers->Add(Names(rules.answer, key) ? key : fmt::format("{}{}", prefix, key), text);
  }
}

absl::Status AddTimeout(const http::Headers& headers, rpc::CallOptions* options) {
  const auto text = headers.Find(kTimeout);
  if (!text) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto timeout, ParseGrpcTimeout(*text));
  options->timeout = options->timeout ? std::min(*options->timeout, timeout) : timeout;
  return absl::OkStatus();
}

bool IsTraceparent(std::string_view value) {
  constexpr std::size_t kSize = 55;
  if (value.size() != kSize) return false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool is_dash = i == 2 || i == 35 || i == 52;
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (is_dash ? c != '-' : !is_hex) return false;
  }
  return true;
}

}  // namespace

bool IsMetadataKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

bool IsMetadataValue(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

absl::Status AddCallMetadata(const http::Headers& headers, const HeaderRules& rules,
                             rpc::CallOptions* options) {
  for (const http::Headers::Field header : headers) {
    if (StartsWithoutCase(header.name, kMetadataPrefix)) {
      RETURN_IF_ERROR(AddOne(header, Lower(header.name.substr(kMetadataPrefix.size())), options));
    } else if (std::string name = Lower(header.name); Names(rules.request, name)) {
      RETURN_IF_ERROR(AddOne(header, std::move(name), options));
    }
  }
  return AddTimeout(headers, options);
}

void AddHeadMetadata(const rpc::ResponseMetadata& metadata, const HeaderRules& rules,
                     http::Headers* headers) {
  AddAnswer(metadata.AllInitial(), kMetadataPrefix, rules, headers);
}

void AddTrailingMetadata(const rpc::ResponseMetadata& metadata, const HeaderRules& rules,
                         http::Headers* headers) {
  AddAnswer(metadata.AllTrailing(), kTrailerPrefix, rules, headers);
}

void AddProxiedMetadata(const http::Headers& answer, const HeaderRules& rules,
                        http::Headers* headers) {
  for (const http::Headers::Field header : answer) {
    for (const std::string_view prefix : {kMetadataPrefix, kTrailerPrefix}) {
      if (!StartsWithoutCase(header.name, prefix)) continue;
      const std::string key = Lower(header.name.substr(prefix.size()));
      if (IsReserved(key)) continue;
      headers->Add(Names(rules.answer, key) ? key : fmt::format("{}{}", prefix, key), header.value);
    }
  }
}

absl::StatusOr<std::chrono::milliseconds> ParseGrpcTimeout(std::string_view text) {
  const auto timeout = h2::ParseGrpcTimeout(text);
  if (timeout) return std::chrono::ceil<std::chrono::milliseconds>(*timeout);
  return FieldError(kTimeout, "expected at most eight digits and H, M, S, m, u or n, as in 250m");
}

void AddTraceContext(const http::Headers& headers, rpc::CallOptions* options) {
  const std::string_view traceparent = headers.Get(rpc::kTraceparentKey);
  if (!IsTraceparent(traceparent)) return;
  options->metadata.emplace_back(rpc::kTraceparentKey, std::string(traceparent));
  const std::string_view state = headers.Get(kTracestate);
  if (state.empty() || !IsMetadataValue(state)) return;
  options->metadata.emplace_back(kTracestate, std::string(state));
}

}  // namespace penstock::gateway
