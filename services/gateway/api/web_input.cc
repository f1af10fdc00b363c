#include "services/gateway/api/web_input.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/rpc/channel.h"
#include "libs/webrpc/connect.h"
#include "libs/webrpc/envelope.h"
#include "libs/webrpc/gzip.h"
#include "libs/webrpc/text.h"

namespace penstock::gateway {
namespace {

using webrpc::Protocol;

constexpr std::size_t kMessageBytesMax = rpc::kMessageBytesMax;

bool IsNone(std::string_view encoding) { return encoding.empty() || encoding == "identity"; }

absl::StatusOr<std::string> Decompressed(std::string_view name, std::string_view encoding,
                                         std::string_view message) {
  if (encoding == "gzip") return webrpc::Gunzip(message, kMessageBytesMax);
  return absl::UnimplementedError(fmt::format(
      "{}: \"{}\" is not supported; supported encodings are gzip and identity", name, encoding));
}

// A message of which a flag says whether it is compressed.
absl::StatusOr<std::string> Unwrapped(std::string_view name, std::string_view encoding,
                                      std::string_view body) {
  if (!IsNone(encoding) && encoding != "gzip") {
    return Decompressed(name, encoding, {}).status();
  }
  ASSIGN_OR_RETURN(const webrpc::Envelope envelope, webrpc::OnlyEnvelope(body));
  if (!envelope.is_compressed) return std::string(envelope.message);
  if (IsNone(encoding)) {
    return absl::InternalError(
        fmt::format("the message is compressed, but {} does not say how", name));
  }
  return Decompressed(name, encoding, envelope.message);
}

}  // namespace

absl::StatusOr<std::string> MessageOf(const http::Request& request, Protocol protocol) {
  const http::Headers& headers = request.headers;
  const std::string_view content_encoding = headers.Get("Content-Encoding");
  // Connect's unary calls are compressed as a whole; so may gRPC-Web's be.
  std::string body;
  if (!IsNone(content_encoding) && protocol != Protocol::kConnectStream && !request.body.empty()) {
    ASSIGN_OR_RETURN(body, Decompressed("Content-Encoding", content_encoding, request.body));
  } else {
    body = request.body;
  }
  switch (protocol) {
    case Protocol::kConnect: return body;
    case Protocol::kConnectStream:
      return Unwrapped("Connect-Content-Encoding", headers.Get("Connect-Content-Encoding"), body);
    case Protocol::kGrpcWeb: break;
    case Protocol::kGrpcWebText: {
      std::string decoded;
      if (!webrpc::DecodeText(body, &decoded)) {
        return absl::InvalidArgumentError(
            "the body is not base64, as application/grpc-web-text says");
      }
      body = std::move(decoded);
    }
  }
  return Unwrapped("grpc-encoding", headers.Get("grpc-encoding"), body);
}

absl::StatusOr<GetMessage> MessageOfGet(const http::Request& request) {
  ASSIGN_OR_RETURN(webrpc::GetQuery query, webrpc::ParseGetQuery(request.query()));
  if (!query.version.empty() && query.version != "v1") {
    return FieldError("connect", fmt::format("expected v1, got \"{}\"", query.version));
  }
  if (!IsNone(query.compression) && !query.message.empty()) {
    ASSIGN_OR_RETURN(query.message, Decompressed("compression", query.compression, query.message));
  }
  return GetMessage{std::move(query.encoding), std::move(query.message)};
}

absl::StatusOr<std::optional<std::chrono::microseconds>> TimeoutOf(const http::Headers& headers,
                                                                   Protocol protocol) {
  const bool is_connect = protocol == Protocol::kConnect || protocol == Protocol::kConnectStream;
  const auto text = headers.Find(is_connect ? "Connect-Timeout-Ms" : "grpc-timeout");
  std::optional<std::chrono::microseconds> timeout;
  if (!text) return timeout;
  if (is_connect) {
    ASSIGN_OR_RETURN(timeout, webrpc::ParseConnectTimeout(*text));
  } else {
    timeout = h2::ParseGrpcTimeout(*text);
    if (!timeout) {
      return FieldError("grpc-timeout",
                        "expected at most eight digits and H, M, S, m, u or n, as in 250m");
    }
  }
  if (timeout->count() == 0) return absl::DeadlineExceededError("Deadline Exceeded");
  return timeout;
}

absl::Status CheckVersion(const http::Headers& headers) {
  const auto version = headers.Find("Connect-Protocol-Version");
  if (!version || *version == "1") return absl::OkStatus();
  return FieldError("Connect-Protocol-Version",
                    fmt::format("expected 1, got \"{}\"", version->substr(0, 20)));
}

}  // namespace penstock::gateway
