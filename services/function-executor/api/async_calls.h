// Calls that nobody waits for: into the broker's log, and what became of them.
#pragma once

#include <penstock/executions/v1/executor.pb.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/cancellation.h"
#include "libs/rpc/peer_auth.h"
#include "services/function-executor/api/execution_directory.h"
#include "services/function-executor/domain/execution_id.h"
#include "services/function-executor/domain/execution_journal.h"
#include "services/function-executor/domain/function_registry.h"
#include "services/function-executor/ports/invocation_queue.h"

namespace penstock::executor {

// Thread-safe; nothing blocks. All that it is given must outlive it and its calls.
class AsyncCalls {
 public:
  struct Parts {
    FunctionRegistry& registry;
    InvocationQueue& queue;
    ExecutionJournal& journal;
    const ExecutionDirectory& directory;
    const ExecutionIds& ids;
    const Clock& clock;
    std::shared_ptr<const rpc::PeerAuth> peer_auth;
  };
  using InvokeDone = std::function<void(absl::StatusOr<executions::v1::InvokeAsyncResponse>)>;
  using GetDone = ExecutionDirectory::GetDone;

  explicit AsyncCalls(Parts parts) : parts_(std::move(parts)) {}

  // Checks the call against what the function is now, and answers once it is durable.
  void Invoke(const executions::v1::InvokeAsyncRequest& request, const rpc::CallContext& call,
              InvokeDone done) const;

  // Whether `name` is that of an invocation, or of an attempt of one.
  static bool IsAsync(const std::string& name);
  // The newest attempt, or the state of an invocation without one.
  void Get(const std::string& name, const std::shared_ptr<rpc::Cancellation>& cancellation,
           GetDone done) const;
  // Gives the invocation up. One that waits leaves a record that says so.
  void Cancel(const std::string& name, const std::shared_ptr<rpc::Cancellation>& cancellation,
              GetDone done) const;

 private:
  struct Plan;

  absl::StatusOr<std::shared_ptr<Plan>> MakePlan(const executions::v1::InvokeAsyncRequest& request,
                                                 const rpc::CallContext& call) const;
  // With the functions known.
  absl::Status Complete(Plan& plan) const;
  void GetAttempt(const std::string& name, const std::string& delivery_id,
                  const std::shared_ptr<rpc::Cancellation>& cancellation, GetDone done) const;
  void RecordCancel(const std::string& space, const std::string& delivery_id,
                    const InvocationQueue::Cancelled& cancelled, std::function<void()> done) const;

  const Parts parts_;
};

}  // namespace penstock::executor
