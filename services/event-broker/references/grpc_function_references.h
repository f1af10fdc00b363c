// Holds functions at the function-manager over gRPC.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/rpc/cancellation.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/peer_auth.h"
#include "services/event-broker/ports/function_references.h"

namespace penstock::broker {

// See FunctionReferences. Every call has a limit of 5 s.
class GrpcFunctionReferences final : public FunctionReferences {
 public:
  // `address` as rpc::MakeChannel takes it.
  GrpcFunctionReferences(std::string address, std::shared_ptr<const rpc::PeerAuth> auth);
  // Stops as Stop() does.
  ~GrpcFunctionReferences() override { Stop(); }

  void Acquire(Reference reference,
               std::function<void(absl::StatusOr<std::int64_t>)> done) override;
  void Release(Reference reference, std::function<void(absl::Status)> done) override;
  void Reconcile(std::vector<Reference> references,
                 std::function<void(absl::StatusOr<std::vector<Reference>>)> done) override;

  // Cancels what runs and waits until every `done` has returned; later calls answer UNAVAILABLE at
  // once. Idempotent.
  void Stop();

 private:
  // Shared with the calls.
  struct Calls {
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t running = 0;
    bool stopped = false;
  };

  template <typename Response, typename Request>
  void Call(const char* method, Request request, std::chrono::milliseconds timeout,
            std::function<void(absl::StatusOr<Response>)> done);

  rpc::LazyChannel channel_;
  const std::shared_ptr<rpc::Cancellation> cancellation_ = std::make_shared<rpc::Cancellation>();
  const std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
  const std::shared_ptr<const rpc::PeerAuth> auth_;
};

}  // namespace penstock::broker
