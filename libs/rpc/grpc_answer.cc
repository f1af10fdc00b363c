#include "libs/rpc/grpc_answer.h"

#include "libs/h2/grpc_wire.h"
#include "libs/rpc/status.h"

namespace penstock::rpc {
namespace {

// What still comes is dropped.
class Leaver final : public h2::StreamHandler {
 public:
  explicit Leaver(h2::Stream& stream) : stream_(stream) {}
  void OnHead(h2::Fields, bool) override {}
  void OnData(h2::Chunk data) override { stream_.Consume(data.size()); }
  void OnEnd(h2::Fields) override {}
  void OnSent(std::size_t) override {}
  void OnClosed(h2::ErrorCode) override { delete this; }

 private:
  h2::Stream& stream_;
};

}  // namespace

void AddGrpcStatus(const absl::Status& status, h2::Fields& fields) {
  const grpc::Status wire = ToGrpcStatus(status);
  h2::AddGrpcStatus({status.code(), wire.error_message(), wire.error_details()}, fields);
}

h2::Fields GrpcAnswerHead() {
  h2::Fields head;
  head.Add(":status", "200");
  head.Add("content-type", "application/grpc");
  return head;
}

h2::Fields GrpcTrailers(const absl::Status& status) {
  h2::Fields trailers;
  AddGrpcStatus(status, trailers);
  return trailers;
}

void AnswerGrpcStatus(h2::Stream& stream, const absl::Status& status) {
  h2::Fields head = GrpcAnswerHead();
  AddGrpcStatus(status, head);
  stream.SendHead(std::move(head), true);
}

void LeaveStream(h2::Stream& stream) { stream.SetHandler(new Leaver(stream)); }

}  // namespace penstock::rpc
