// The text form of gRPC-Web: base64 in pieces.
#pragma once

#include <string>
#include <string_view>

namespace penstock::webrpc {

// Decodes base64 texts that follow each other, each with its padding. False when a part is none.
bool DecodeText(std::string_view text, std::string* out);

}  // namespace penstock::webrpc
