// Unary client calls on the callback API. The only way in which production code calls a unary
// method.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/rpc/call_gate.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/contain.h"
#include "libs/rpc/status.h"

namespace penstock::rpc {

// Called exactly once, on a callback thread, under the callback guard: it must not block.
template <typename Response>
using UnaryDone = std::function<void(absl::StatusOr<Response>, const ResponseMetadata&)>;

// Links a cancellation to a call for the call's lifetime. Owned by the call's state.
class CancelLink {
 public:
  CancelLink() = default;
  ~CancelLink();
  CancelLink(const CancelLink&) = delete;
  CancelLink& operator=(const CancelLink&) = delete;

  // Runs `cancel`, which needs `owner`, when `cancellation` (may be null) is set.
  void Connect(std::shared_ptr<Cancellation> cancellation, const std::shared_ptr<void>& owner,
               std::function<void()> cancel);

 private:
  std::shared_ptr<Cancellation> cancellation_;
  std::uint64_t id_ = 0;
};

// The one heap object of a unary call: gRPC needs all of it until the end.
template <typename Request, typename Response>
struct UnaryCallState {
  grpc::ClientContext context;
  Request request;
  Response response;
  UnaryDone<Response> done;
  CancelLink link;
};

// Calls a method by its path, "/package.Service/Method". Request and Response are messages, or
// grpc::ByteBuffer for raw bytes. There is no form for generated stubs: their calls would pass the
// channel's gate by (call_gate.h), and their headers cost seconds to compile.
template <typename Response, typename Request>
void CallUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
               Request request, const CallOptions& options, UnaryDone<Response> done) {
  auto state = std::make_shared<UnaryCallState<Request, Response>>();
  state->request = std::move(request);
  state->done = std::move(done);
  Apply(options, kUnaryTimeoutDefault, state->context);
  state->link.Connect(options.cancellation, state,
                      [raw = state.get()] { raw->context.TryCancel(); });
  const CallStart start(channel);
  grpc::TemplatedGenericStub<Request, Response>(start.channel())
      .UnaryCall(&state->context, method, grpc::StubOptions(), &state->request, &state->response,
                 [state](const grpc::Status& status) {
                   Contain("unary call", [&] {
                     const ResponseMetadata metadata(state->context);
                     const auto callback = std::move(state->done);
                     if (status.ok()) {
                       callback(std::move(state->response), metadata);
                     } else {
                       callback(FromGrpcStatus(status), metadata);
                     }
                   });
                 });
}

}  // namespace penstock::rpc
