// What a web client gets, in the form of its protocol.
#pragma once

#include <string>

#include "libs/http/message.h"
#include "libs/webrpc/connect.h"
#include "libs/webrpc/content_type.h"

namespace penstock::gateway {

// The protocol and codec of an answer.
struct WebForm {
  webrpc::Protocol protocol = webrpc::Protocol::kConnect;
  webrpc::Codec codec = webrpc::Codec::kProto;

  // The answer is one message without a prefix, and an HTTP status.
  bool is_bare() const { return protocol == webrpc::Protocol::kConnect; }
};

// The whole answer to a call without messages: an error. Never fails.
http::Response ErrorResponseOf(const WebForm& form, const webrpc::Outcome& outcome,
                               const webrpc::MetadataText& head = {},
                               const webrpc::MetadataText& trailers = {});

// The answer to Connect's unary call that succeeded.
http::Response BareResponse(const WebForm& form, std::string message,
                            const webrpc::MetadataText& head, const webrpc::MetadataText& trailers);

// The headers of an answer with messages.
http::Headers StreamHeaders(const WebForm& form, const webrpc::MetadataText& head);
// What ends its body, not yet as text.
std::string StreamEnd(const WebForm& form, const webrpc::Outcome& outcome,
                      const webrpc::MetadataText& trailers);
// Bytes of its body as they are sent.
std::string Encoded(const WebForm& form, std::string bytes);

}  // namespace penstock::gateway
