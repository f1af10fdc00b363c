// Everything that the app makes, in the order in which it is made.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/worker_pool.h"
#include "libs/http/client.h"
#include "libs/http/egress.h"
#include "libs/http/event_loops.h"
#include "libs/http/per_loop.h"
#include "libs/lifecycle/data_folder_lock.h"
#include "libs/rpc/peer_auth.h"
#include "libs/rpc/replica_set.h"
#include "libs/rpc/server_host.h"
#include "services/function-executor/api/async_calls.h"
#include "services/function-executor/api/execution_directory.h"
#include "services/function-executor/api/execution_reader.h"
#include "services/function-executor/api/function_executor_api.h"
#include "services/function-executor/api/invocation_api.h"
#include "services/function-executor/app/app.h"
#include "services/function-executor/app/call_metrics.h"
#include "services/function-executor/app/process_user.h"
#include "services/function-executor/domain/broker_fence.h"
#include "services/function-executor/domain/deployments.h"
#include "services/function-executor/domain/epoch_guard.h"
#include "services/function-executor/domain/invoker.h"
#include "services/function-executor/domain/middleware/catalog.h"
#include "services/function-executor/domain/schema_checks.h"
#include "services/function-executor/drivers/http/http_driver.h"
#include "services/function-executor/drivers/noop/noop_driver.h"
#include "services/function-executor/drivers/process/process_driver.h"
#include "services/function-executor/middleware/grpc/service_clients.h"
#include "services/function-executor/middleware/transform/jq_pool.h"
#include "services/function-executor/queue/broker_invocation_queue.h"
#include "services/function-executor/registry/deployment_client.h"
#include "services/function-executor/registry/function_watcher.h"
#include "services/function-executor/registry/source_client.h"
#include "services/function-executor/storage/sqlite_execution_store.h"
#include "services/function-executor/timers/loop_timers.h"

namespace penstock::executor {

// Members are destroyed in reverse; Stop has ended all threads by then.
struct App::Parts {
  // What can fail to be made.
  struct Opened {
    lifecycle::DataFolderLock lock;
    std::string instance;
    std::shared_ptr<const rpc::PeerAuth> peer_auth;
    std::unique_ptr<http::EventLoops> loops;
    std::unique_ptr<http::PerLoop<http::EgressPolicy>> egress;
    std::unique_ptr<http::Client> client;
    std::unique_ptr<SqliteExecutionStore> store;
    ProcessUser process_user;
  };

  // `lock` is the one of the data folder.
  static absl::StatusOr<Opened> Open(lifecycle::DataFolderLock lock, const Config& config,
                                     const Shared& shared);

  Parts(Opened opened, const Config& config, const Shared& shared);
  ~Parts();

  // Ends everything, in an order in which nothing is used after its end. Idempotent. False when
  // something had to be cancelled.
  bool Stop(std::chrono::milliseconds deadline);

  lifecycle::DataFolderLock lock;
  const std::string instance;
  const std::shared_ptr<const rpc::PeerAuth> peer_auth;
  std::unique_ptr<http::EventLoops> loops;
  // Asked at each connect of `client`.
  std::unique_ptr<http::PerLoop<http::EgressPolicy>> egress;
  std::unique_ptr<http::Client> client;
  std::unique_ptr<SqliteExecutionStore> store;
  LoopTimers timers;
  CallMetrics calls;
  NoopDriver noop;
  HttpDriver http_driver;
  SourceClient sources;
  std::unique_ptr<ProcessDriver> process;  // Null when process functions are switched off.
  // What steps of the middleware use.
  JqPool jq;
  ServiceClients middleware_services;
  MiddlewareCatalog middleware;
  FunctionRegistry registry;
  DeploymentClient deployment_client;
  Deployments deployments;
  FunctionWatcher watcher;
  ExecutionJournal journal;
  ExecutionIds ids;
  // Calls may end as late as Stop: what they tell lives longer than the invoker.
  BrokerFence fence;
  WorkerPool schema_pool;
  const SchemaChecks schemas;
  Invoker invoker;
  EpochGuard epochs;
  std::unique_ptr<rpc::ReplicaSet> peers;  // Null when there are none.
  ExecutionReader reader;
  ExecutionDirectory directory;
  BrokerInvocationQueue queue;
  AsyncCalls async;
  FunctionExecutorApi executor_api;
  InvocationApi invocation_api;
  metrics::Registration revision_gauge;
  metrics::Registration functions_gauge;
  metrics::Registration streams_gauge;
  metrics::Registration workers_gauge;
  rpc::DirectMethods direct;
  std::unique_ptr<rpc::ServerHost> host;
  bool stopped = false;
};

}  // namespace penstock::executor
