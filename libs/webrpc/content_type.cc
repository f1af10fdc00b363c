#include "libs/webrpc/content_type.h"

#include <algorithm>
#include <string>

namespace penstock::webrpc {
namespace {

bool Strip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string MediaTypeOf(std::string_view text) {
  std::string type(text.substr(0, text.find_first_of("; \t")));
  std::transform(type.begin(), type.end(), type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return type;
}

}  // namespace

std::optional<Codec> ParseCodec(std::string_view name) {
  if (name == "proto") return Codec::kProto;
  if (name == "json") return Codec::kJson;
  return std::nullopt;
}

std::optional<ContentType> ParseContentType(std::string_view text) {
  const std::string type = MediaTypeOf(text);
  std::string_view rest = type;
  if (!Strip(rest, "application/")) return std::nullopt;
  if (Strip(rest, "connect+")) return ContentType{Protocol::kConnectStream, ParseCodec(rest)};
  if (Strip(rest, "grpc-web")) {
    ContentType grpc{Protocol::kGrpcWeb, std::nullopt};
    if (Strip(rest, "-text")) {
      grpc.protocol = Protocol::kGrpcWebText;
      Strip(rest, "-base64");
    }
    // Messages are protobuf unless a subtype says otherwise.
    if (rest.empty() || rest == "+proto") grpc.codec = Codec::kProto;
    if (!rest.empty() && rest.front() != '+') return std::nullopt;
    return grpc;
  }
  const auto codec = ParseCodec(rest);
  return codec ? std::optional(ContentType{Protocol::kConnect, codec}) : std::nullopt;
}

std::string_view ContentTypeOf(Protocol protocol, Codec codec) {
  const bool is_json = codec == Codec::kJson;
  switch (protocol) {
    case Protocol::kConnect: return is_json ? "application/json" : "application/proto";
    case Protocol::kConnectStream:
      return is_json ? "application/connect+json" : "application/connect+proto";
    case Protocol::kGrpcWeb: return "application/grpc-web+proto";
    case Protocol::kGrpcWebText: break;
  }
  return "application/grpc-web-text+proto";
}

}  // namespace penstock::webrpc
