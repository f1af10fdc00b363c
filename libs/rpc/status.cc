#include "libs/rpc/status.h"

#include <string>

#include "libs/base/status_details.h"
#include "libs/base/utf8.h"

namespace penstock::rpc {

google::rpc::Status ToProtoStatus(const absl::Status& status) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(ToUtf8(std::string(status.message())));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    google::protobuf::Any* detail = proto.add_details();
    detail->set_type_url(DetailType(url));
    detail->set_value(std::string(payload));
  });
  return proto;
}

absl::Status FromProtoStatus(const google::rpc::Status& proto) {
  if (proto.code() == 0) return absl::OkStatus();
  absl::Status status(static_cast<absl::StatusCode>(proto.code()), proto.message());
  DetailKeys keys;
  for (const google::protobuf::Any& detail : proto.details()) {
    if (detail.type_url().empty()) continue;
    status.SetPayload(keys.For(detail.type_url()), absl::Cord(detail.value()));
  }
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status proto = ToProtoStatus(status);
  std::string details;
  if (proto.details_size() > 0) details = proto.SerializeAsString();
  return {static_cast<grpc::StatusCode>(status.code()), proto.message(), details};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status proto;
  if (status.error_details().empty() || !proto.ParseFromString(status.error_details())) {
    proto.clear_details();
  }
  // The code and message that gRPC itself carries are what counts, whatever a peer put in the
  // details.
  proto.set_code(status.error_code());
  proto.set_message(ToUtf8(status.error_message()));
  return FromProtoStatus(proto);
}

}  // namespace penstock::rpc
