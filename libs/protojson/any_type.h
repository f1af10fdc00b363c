// google.protobuf.Any, whether its type is compiled in or was made at run time.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

namespace penstock::protojson {

// The parts of an Any message.
struct AnyParts {
  std::string type_url;
  std::string value;
};
AnyParts PartsOfAny(const google::protobuf::Message& any);
void SetAny(const AnyParts& parts, google::protobuf::Message* any);

// An empty message of the type that a URL names, of the pool that `any` is of or else compiled in;
// null when the type is unknown.
std::unique_ptr<google::protobuf::Message> NewContent(const google::protobuf::Message& any,
                                                      std::string_view type_url);

}  // namespace penstock::protojson
