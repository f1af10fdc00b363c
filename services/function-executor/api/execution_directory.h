// Records of all executors: this one and its peers.
#pragma once

#include <penstock/executions/v1/executor.pb.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/rpc/cancellation.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/replica_set.h"
#include "services/function-executor/api/execution_reader.h"

namespace penstock::executor {

// Asks this executor, and the peers where there are some, and merges what they say. Thread-safe;
// nothing blocks. All that it is given must outlive it and its calls; `peers` may be null.
class ExecutionDirectory {
 public:
  using ListDone = std::function<void(absl::StatusOr<executions::v1::ListExecutionsResponse>)>;
  using GetDone = std::function<void(absl::StatusOr<executions::v1::Execution>)>;

  ExecutionDirectory(const ExecutionReader& reader, std::string instance, rpc::ReplicaSet* peers,
                     std::shared_ptr<const rpc::PeerAuth> peer_auth);

  // One page over all executors; those that could not be asked are named in it.
  void List(const executions::v1::ListExecutionsRequest& request,
            const std::shared_ptr<rpc::Cancellation>& cancellation, ListDone done) const;

  // The record called `name`. UNAVAILABLE when it is not found and an executor could not be asked.
  void Get(const std::string& name, const std::shared_ptr<rpc::Cancellation>& cancellation,
           GetDone done) const;

 private:
  class Listing;
  class Search;

  const ExecutionReader& reader_;
  const std::string instance_;
  rpc::ReplicaSet* const peers_;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth_;
};

}  // namespace penstock::executor
