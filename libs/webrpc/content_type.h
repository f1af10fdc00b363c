// Which protocol a request speaks, by its Content-Type.
#pragma once

#include <optional>
#include <string_view>

namespace penstock::webrpc {

enum class Protocol {
  // Connect's unary calls: a bare message each way.
  kConnect,
  // Connect's streaming calls: enveloped messages.
  kConnectStream,
  kGrpcWeb,
  // gRPC-Web in base64.
  kGrpcWebText,
};

enum class Codec { kProto, kJson };

struct ContentType {
  Protocol protocol = Protocol::kConnect;
  // Nothing: a codec that is not known, which is 415.
  std::optional<Codec> codec;
};

// Nothing for a media type of no such protocol. Parameters and case count for nothing.
std::optional<ContentType> ParseContentType(std::string_view text);

// The codec of a name as Connect writes it, "proto" or "json".
std::optional<Codec> ParseCodec(std::string_view name);

// What an answer says.
std::string_view ContentTypeOf(Protocol protocol, Codec codec);

}  // namespace penstock::webrpc
