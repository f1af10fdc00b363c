// absl::Status to and from gRPC's, details included. No other file writes a gRPC status code.
#pragma once

#include <google/rpc/status.pb.h>
#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace penstock::rpc {

// The same code and message; payloads with a type URL travel as google.rpc.Status in
// grpc-status-details-bin.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse. Details that do not parse are dropped; the code and message stay.
absl::Status FromGrpcStatus(const grpc::Status& status);

// google.rpc.Status with a detail for each payload, as REST error bodies carry it.
google::rpc::Status ToProtoStatus(const absl::Status& status);
absl::Status FromProtoStatus(const google::rpc::Status& status);

}  // namespace penstock::rpc
