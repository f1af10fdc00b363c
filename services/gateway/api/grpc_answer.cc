#include "services/gateway/api/grpc_answer.h"

#include "libs/h2/grpc_wire.h"
#include "libs/rpc/status.h"

namespace penstock::gateway {
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

void AddStatus(const absl::Status& status, h2::Fields& fields) {
  const grpc::Status wire = rpc::ToGrpcStatus(status);
  h2::AddGrpcStatus({status.code(), wire.error_message(), wire.error_details()}, fields);
}

}  // namespace

h2::Fields GrpcAnswerHead() {
  h2::Fields head;
  head.Add(":status", "200");
  head.Add("content-type", "application/grpc");
  return head;
}

h2::Fields GrpcTrailers(const absl::Status& status) {
  h2::Fields trailers;
  AddStatus(status, trailers);
  return trailers;
}

void AnswerGrpcStatus(h2::Stream& stream, const absl::Status& status) {
  h2::Fields head = GrpcAnswerHead();
  AddStatus(status, head);
  stream.SendHead(std::move(head), true);
}

void LeaveStream(h2::Stream& stream) { stream.SetHandler(new Leaver(stream)); }

}  // namespace penstock::gateway
