// google.api.HttpBody messages, whether their type is compiled in or known at run time only.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace penstock::transcode {

bool IsHttpBody(const google::protobuf::Descriptor* type);

// `message` must be an HttpBody, here and below.
void SetHttpBody(std::string_view content_type, std::string_view data,
                 google::protobuf::Message* message);

std::string ContentTypeOf(const google::protobuf::Message& message);
std::string DataOf(const google::protobuf::Message& message);

}  // namespace penstock::transcode
