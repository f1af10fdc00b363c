// The gRPC face for brokers and other executors.
#pragma once

#include <penstock/internal/v1/invocation_service.grpc.pb.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "libs/rpc/peer_auth.h"
#include "services/function-executor/api/execution_reader.h"
#include "services/function-executor/api/invocation_stream.h"

namespace penstock::executor {

// Serves InvocationService to callers with the peer credential. Thread-safe; all that it is given
// must outlive the server.
class InvocationApi final : public internal::v1::InvocationService::CallbackService {
 public:
  InvocationApi(InvocationParts parts, const ExecutionReader& reader,
                std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : parts_(std::move(parts)), reader_(reader), peer_auth_(std::move(peer_auth)) {}

  grpc::ServerBidiReactor<internal::v1::InvokeStreamRequest, internal::v1::InvokeStreamResponse>*
  InvokeStream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListLocalExecutions(
      grpc::CallbackServerContext* context, const internal::v1::ListLocalExecutionsRequest* request,
      internal::v1::ListLocalExecutionsResponse* response) override;
  grpc::ServerUnaryReactor* GetLocalExecution(grpc::CallbackServerContext* context,
                                              const internal::v1::GetLocalExecutionRequest* request,
                                              executions::v1::Execution* response) override;

  // Enters what is served without gRPC's library.
  void AddDirect(rpc::DirectMethods& direct);

  // Tells all brokers that this executor goes away, and gives what is in flight until `limit` to
  // get its results to them; then ends the streams. True when nothing was left in flight. Blocks.
  bool Drain(std::chrono::milliseconds limit);

  std::size_t streams() const;

 private:
  InvocationStream::Server::Handlers Accept(
      const std::shared_ptr<InvocationStream::Server>& server);

  const InvocationParts parts_;
  const ExecutionReader& reader_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool draining_ = false;
  std::unordered_set<std::shared_ptr<InvocationStream>> streams_;
};

}  // namespace penstock::executor
