// Messages as bytes that can be compared.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

namespace penstock::protojson {

// The same bytes for the same message: map entries in order. Required fields are not looked at.
std::string SerializeDeterministic(const google::protobuf::MessageLite& message);

}  // namespace penstock::protojson
