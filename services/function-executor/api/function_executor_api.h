// The gRPC face for clients.
#pragma once

#include <penstock/executions/v1/executor_service.grpc.pb.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "libs/rpc/direct_methods.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/server_stream.h"
#include "libs/rpc/server_unary.h"
#include "services/function-executor/api/async_calls.h"
#include "services/function-executor/api/execution_directory.h"
#include "services/function-executor/domain/execution_journal.h"
#include "services/function-executor/domain/invoker.h"

namespace penstock::executor {

// Serves FunctionExecutorService. Thread-safe; all that it is given must outlive the server.
class FunctionExecutorApi final : public executions::v1::FunctionExecutorService::CallbackService {
 public:
  FunctionExecutorApi(Invoker& invoker, ExecutionJournal& journal,
                      const ExecutionDirectory& directory, const AsyncCalls& async,
                      const Clock& clock, std::shared_ptr<const rpc::PeerAuth> peer_auth)
      : invoker_(invoker),
        journal_(journal),
        directory_(directory),
        async_(async),
        clock_(clock),
        peer_auth_(std::move(peer_auth)) {}

  grpc::ServerUnaryReactor* Invoke(grpc::CallbackServerContext* context,
                                   const executions::v1::InvokeRequest* request,
                                   executions::v1::InvokeResponse* response) override;
  grpc::ServerUnaryReactor* BatchInvoke(grpc::CallbackServerContext* context,
                                        const executions::v1::BatchInvokeRequest* request,
                                        executions::v1::BatchInvokeResponse* response) override;
  grpc::ServerUnaryReactor* InvokeAsync(grpc::CallbackServerContext* context,
                                        const executions::v1::InvokeAsyncRequest* request,
                                        executions::v1::InvokeAsyncResponse* response) override;
  grpc::ServerUnaryReactor* GetExecution(grpc::CallbackServerContext* context,
                                         const executions::v1::GetExecutionRequest* request,
                                         executions::v1::Execution* response) override;
  grpc::ServerUnaryReactor* ListExecutions(
      grpc::CallbackServerContext* context, const executions::v1::ListExecutionsRequest* request,
      executions::v1::ListExecutionsResponse* response) override;
  grpc::ServerWriteReactor<executions::v1::Execution>* TailExecutions(
      grpc::CallbackServerContext* context,
      const executions::v1::TailExecutionsRequest* request) override;
  grpc::ServerUnaryReactor* CancelExecution(grpc::CallbackServerContext* context,
                                            const executions::v1::CancelExecutionRequest* request,
                                            executions::v1::Execution* response) override;

  // Enters what is served without gRPC's library.
  void AddDirect(rpc::DirectMethods& direct);

  // Ends all tails with UNAVAILABLE, and refuses new ones.
  void CloseTails();

 private:
  using TailStream = rpc::ServerStream<executions::v1::Execution>;

  void Run(const executions::v1::InvokeRequest& request, executions::v1::InvokeResponse* response,
           rpc::CallContext& call, const rpc::ServerDone& done);
  void RunBatch(const executions::v1::BatchInvokeRequest& request,
                executions::v1::BatchInvokeResponse* response, rpc::CallContext& call,
                const rpc::ServerDone& done);
  absl::StatusOr<std::vector<InvokeOrder>> MakeOrders(
      const executions::v1::BatchInvokeRequest& request, const rpc::CallContext& call) const;
  absl::StatusOr<InvokeOrder> MakeOrder(const executions::v1::InvokeRequest& request,
                                        const rpc::CallContext& call) const;
  absl::Status OpenTail(const executions::v1::TailExecutionsRequest& request,
                        const std::shared_ptr<TailStream>& stream);

  Invoker& invoker_;
  ExecutionJournal& journal_;
  const ExecutionDirectory& directory_;
  const AsyncCalls& async_;
  const Clock& clock_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
  std::mutex mutex_;
  bool tails_closed_ = false;
  std::unordered_set<std::shared_ptr<TailStream>> tails_;
};

}  // namespace penstock::executor
