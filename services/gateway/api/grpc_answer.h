// Answers that the gateway gives to gRPC calls by itself.
#pragma once

#include "libs/rpc/grpc_answer.h"

namespace penstock::gateway {

using rpc::AnswerGrpcStatus;
using rpc::GrpcAnswerHead;
using rpc::GrpcTrailers;
using rpc::LeaveStream;

}  // namespace penstock::gateway
