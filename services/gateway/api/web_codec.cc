#include "services/gateway/api/web_codec.h"

#include <fmt/format.h>

#include <utility>

#include "libs/base/status.h"
#include "libs/protojson/protojson.h"

namespace penstock::gateway {

namespace pb = google::protobuf;

MethodTypes CompiledTypes(std::string_view method) {
  std::string name(method);
  if (const std::size_t slash = name.find('/'); slash != std::string::npos) name[slash] = '.';
  MethodTypes types;
  types.method = pb::DescriptorPool::generated_pool()->FindMethodByName(name);
  if (types.method == nullptr) return types;
  pb::MessageFactory& factory = *pb::MessageFactory::generated_factory();
  types.request = factory.GetPrototype(types.method->input_type());
  types.response = factory.GetPrototype(types.method->output_type());
  return types;
}

absl::StatusOr<std::string> ReadRequest(webrpc::Codec codec, const MethodTypes& types,
                                        std::string message) {
  if (codec == webrpc::Codec::kProto) return message;
  const std::unique_ptr<pb::Message> request(types.request->New());
  RETURN_IF_ERROR(protojson::ParseJson(message, request.get()));
  return request->SerializeAsString();
}

absl::StatusOr<std::string> WriteAnswer(webrpc::Codec codec, const MethodTypes& types,
                                        std::string message) {
  if (codec == webrpc::Codec::kProto) return message;
  const std::unique_ptr<pb::Message> answer(types.response->New());
  if (!answer->ParseFromString(message)) {
    return absl::InternalError(fmt::format("the answer is no {}", answer->GetTypeName()));
  }
  auto json = protojson::PrintJson(*answer);
  if (json.ok()) return json;
  return absl::InternalError(json.status().message());
}

}  // namespace penstock::gateway
