#include "services/gateway/api/web_answer.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "libs/h2/grpc_wire.h"
#include "libs/protojson/base64.h"
#include "libs/webrpc/envelope.h"

namespace penstock::gateway {
namespace {

using webrpc::Protocol;

void AddHeaders(const webrpc::MetadataText& metadata, std::string_view prefix,
                http::Headers& headers) {
  for (const auto& [key, value] : metadata) headers.Add(fmt::format("{}{}", prefix, key), value);
}

http::Response Bare(int status, std::string_view content_type, std::string body,
                    const webrpc::MetadataText& head, const webrpc::MetadataText& trailers) {
  http::Response response;
  response.status = status;
  AddHeaders(head, "", response.headers);
  AddHeaders(trailers, "Trailer-", response.headers);
  response.headers.Set("Content-Type", content_type);
  response.body = std::move(body);
  return response;
}

// A block of HTTP/1 headers; values in -bin keep their base64, as clients expect them.
std::string TrailerBlock(const webrpc::Outcome& outcome, const webrpc::MetadataText& trailers) {
  h2::Fields fields;
  h2::AddGrpcStatus({outcome.code, outcome.message, outcome.details}, fields);
  std::string block;
  for (const h2::Fields::Field field : fields) {
    block += fmt::format("{}: {}\r\n", field.name, field.value);
  }
  for (const auto& [key, value] : trailers) block += fmt::format("{}: {}\r\n", key, value);
  return block;
}

}  // namespace

http::Response ErrorResponseOf(const WebForm& form, const webrpc::Outcome& outcome,
                               const webrpc::MetadataText& head,
                               const webrpc::MetadataText& trailers) {
  if (form.is_bare()) {
    return Bare(HttpStatusOf(outcome.code), "application/json", webrpc::ErrorJson(outcome), head,
                trailers);
  }
  http::Response response;
  response.headers = StreamHeaders(form, head);
  response.body = Encoded(form, StreamEnd(form, outcome, trailers));
  return response;
}

http::Response BareResponse(const WebForm& form, std::string message,
                            const webrpc::MetadataText& head,
                            const webrpc::MetadataText& trailers) {
  return Bare(200, webrpc::ContentTypeOf(form.protocol, form.codec), std::move(message), head,
              trailers);
}

http::Headers StreamHeaders(const WebForm& form, const webrpc::MetadataText& head) {
  http::Headers headers;
  AddHeaders(head, "", headers);
  headers.Set("Content-Type", webrpc::ContentTypeOf(form.protocol, form.codec));
  headers.Set("Cache-Control", "no-store");
  return headers;
}

std::string StreamEnd(const WebForm& form, const webrpc::Outcome& outcome,
                      const webrpc::MetadataText& trailers) {
  std::string end;
  if (form.protocol == Protocol::kConnectStream) {
    webrpc::AppendEnvelope(webrpc::kEndStream, webrpc::EndOfStreamJson(outcome, trailers), &end);
  } else {
    webrpc::AppendEnvelope(webrpc::kTrailers, TrailerBlock(outcome, trailers), &end);
  }
  return end;
}

std::string Encoded(const WebForm& form, std::string bytes) {
  if (form.protocol != Protocol::kGrpcWebText) return bytes;
  std::string text;
  protojson::AppendBase64(bytes, &text);
  return text;
}

}  // namespace penstock::gateway
