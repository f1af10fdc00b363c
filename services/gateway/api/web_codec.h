// The messages of web clients' calls, from and to protobuf's bytes.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/webrpc/content_type.h"

namespace penstock::gateway {

// What is known of a method's messages. Binary ones pass as they are; JSON needs the types.
struct MethodTypes {
  // Keeps the types as long as they are used; null for those that are compiled in.
  std::shared_ptr<const void> holder;
  // Null when they are not known.
  const google::protobuf::MethodDescriptor* method = nullptr;
  const google::protobuf::Message* request = nullptr;
  const google::protobuf::Message* response = nullptr;
};

// The types of a method that is compiled in, "acme.v1.Users/Get".
MethodTypes CompiledTypes(std::string_view method);

// A request's message, serialized. INVALID_ARGUMENT naming the place in the JSON.
absl::StatusOr<std::string> ReadRequest(webrpc::Codec codec, const MethodTypes& types,
                                        std::string message);

// A message of the answer as the client wants it. INTERNAL when it has no such form.
absl::StatusOr<std::string> WriteAnswer(webrpc::Codec codec, const MethodTypes& types,
                                        std::string message);

}  // namespace penstock::gateway
