// Answers to gRPC calls that come over HTTP/2 (libs/h2).
#pragma once

#include "absl/status/status.h"
#include "libs/h2/fields.h"
#include "libs/h2/stream.h"

namespace penstock::rpc {

// Adds the status and its details to trailers, or to the head of an answer without messages.
void AddGrpcStatus(const absl::Status& status, h2::Fields& fields);
// Trailers with the status and its details.
h2::Fields GrpcTrailers(const absl::Status& status);
// Sends a status as the whole answer.
void AnswerGrpcStatus(h2::Stream& stream, const absl::Status& status);
// The head of an answer with messages.
h2::Fields GrpcAnswerHead();

// The handler of a stream that was answered: waits for its end and deletes itself.
void LeaveStream(h2::Stream& stream);

}  // namespace penstock::rpc
