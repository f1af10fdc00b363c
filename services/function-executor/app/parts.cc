#include "services/function-executor/app/parts.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/status.h"
#include "libs/lifecycle/instance_id.h"
#include "services/function-executor/app/egress.h"
#include "services/function-executor/middleware/grpc/grpc_step.h"
#include "services/function-executor/middleware/transform/transform_step.h"

namespace penstock::executor {
namespace {

constexpr int kLoopsMax = 4;
// Payloads that wait to be held against their schemas; each is in memory anyway.
constexpr std::size_t kSchemaQueueMax = 4096;
// Of the time to stop: for calls to end by themselves. The rest is for cancelling and writing.
constexpr int kDrainPercent = 80;

std::string PathIn(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

std::string WorkDirOf(const Config& config) {
  return config.process.work_dir.empty() ? PathIn(config.data_dir, "process")
                                         : config.process.work_dir;
}

std::unique_ptr<ProcessDriver> MakeProcessDriver(const Config& config, const ProcessUser& user,
                                                 SourceClient& sources, const Clock& clock) {
  if (!config.process.enabled) return nullptr;
  ProcessDriver::Options options;
  options.work_dir = WorkDirOf(config);
  options.launcher_path = config.process.launcher;
  options.python = config.process.python;
  options.node = config.process.node;
  options.sources = &sources;
  options.user = user.name;
  options.user_id = user.user_id;
  options.group_id = user.group_id;
  return std::make_unique<ProcessDriver>(std::move(options), clock);
}

JqPoolOptions JqOptionsOf(const Config& config) {
  JqPoolOptions options;
  options.workers_max = config.transform.workers;
  options.memory_bytes_max = static_cast<std::int64_t>(config.transform.memory_bytes_max);
  options.run_time_max = config.transform.time_max;
  return options;
}

// From 0 to below 1. Thread-safe.
double Random() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

// `policy` must outlive what it returns.
std::function<absl::Status(const std::string&, std::uint16_t)> CheckOf(
    http::PerLoop<http::EgressPolicy>& policy) {
  return [&policy](const std::string& address, std::uint16_t port) {
    return policy.Get()->Check(address, port);
  };
}

std::unique_ptr<rpc::ReplicaSet> MakePeers(const Config& config) {
  if (config.cluster_peers.empty()) return nullptr;
  rpc::ReplicaSet::Options options;
  options.target = config.cluster_peers;
  return std::make_unique<rpc::ReplicaSet>(std::move(options));
}

JournalOptions JournalOptionsOf(const Config& config) {
  JournalOptions options;
  options.recording = config.executions.record;
  options.body_bytes_max = config.executions.body_bytes_max;
  return options;
}

}  // namespace

absl::StatusOr<App::Parts::Opened> App::Parts::Open(lifecycle::DataFolderLock lock,
                                                    const Config& config, const Shared& shared) {
  ASSIGN_OR_RETURN(std::string instance, lifecycle::LoadInstanceId(config.data_dir));
  ASSIGN_OR_RETURN(auto peer_auth, rpc::PeerAuth::Load(config.peer_token_file));
  ASSIGN_OR_RETURN(auto policy, MakeEgressPolicy(config));
  ASSIGN_OR_RETURN(ProcessUser process_user,
                   FindProcessUser(config.process.user, WorkDirOf(config)));
  http::EventLoopsOptions loop_options;
  loop_options.name = "exec";
  loop_options.threads =
      std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kLoopsMax);
  auto loops = std::make_unique<http::EventLoops>(loop_options);
  auto egress = std::make_unique<http::PerLoop<http::EgressPolicy>>(
      *loops, std::make_shared<const http::EgressPolicy>(std::move(policy)));
  http::ClientOptions client_options;
  client_options.connections_per_host_max = 256;
  client_options.egress = CheckOf(*egress);
  client_options.tls.ca_file = config.tls_ca_file;
  ASSIGN_OR_RETURN(auto client, http::Client::Create(*loops, std::move(client_options)));
  SqliteExecutionStore::Options store_options;
  store_options.path = PathIn(config.data_dir, "executions.db");
  store_options.retention_age = config.executions.retention_age;
  store_options.retention_count = config.executions.retention_count;
  store_options.retention_bytes = static_cast<std::int64_t>(config.executions.retention_bytes);
  ASSIGN_OR_RETURN(auto store, SqliteExecutionStore::Open(std::move(store_options), shared.clock,
                                                          shared.metrics));
  return Opened{std::move(lock),  std::move(instance),    std::move(peer_auth),
                std::move(loops), std::move(egress),      std::move(client),
                std::move(store), std::move(process_user)};
}

App::Parts::Parts(Opened opened, const Config& config, const Shared& shared)
    : lock(std::move(opened.lock)),
      instance(std::move(opened.instance)),
      peer_auth(std::move(opened.peer_auth)),
      loops(std::move(opened.loops)),
      egress(std::move(opened.egress)),
      client(std::move(opened.client)),
      store(std::move(opened.store)),
      timers(*loops),
      calls(shared.metrics, static_cast<std::size_t>(config.function_series_max)),
      http_driver({.answer_bytes_max = config.http_answer_bytes_max}, *client, shared.clock),
      sources({.address = config.function_manager_address, .peer_auth = peer_auth}),
      process(MakeProcessDriver(config, opened.process_user, sources, shared.clock)),
      jq(JqOptionsOf(config), shared.clock),
      middleware_services(*loops, CheckOf(*egress), {.ca_file = config.tls_ca_file}),
      middleware(timers, shared.clock, Random),
      registry(
          timers,
          [this](const std::string& uid, std::int64_t version) {
            if (process) process->Forget(uid, version);
          },
          [this](const std::string& uid, std::vector<std::shared_ptr<const FunctionSpec>> reached) {
            if (process) process->Keep(uid, std::move(reached));
          },
          [this](const std::vector<StepSpec>& of_space, const FunctionSpec& function) {
            return middleware.Build(of_space, function);
          }),
      deployment_client(config.function_manager_address, peer_auth),
      deployments({.start =
                       [this](std::shared_ptr<const FunctionSpec> function,
                              std::function<void(StartOutcome)> done) {
                         process->TryStart(std::move(function), std::move(done));
                       },
                   .report =
                       [this](const DeploymentReport& report,
                              std::function<void(absl::StatusOr<bool>)> done) {
                         deployment_client.Report(report, std::move(done));
                       },
                   .timers = &timers}),
      watcher({.address = config.function_manager_address,
               .peer_auth = peer_auth,
               // Without processes it can say nothing of a version.
               .on_updates =
                   [this](const std::vector<FunctionUpdate>& updates, bool is_snapshot) {
                     if (process) deployments.Apply(updates, is_snapshot);
                   }},
              registry, timers),
      journal(*store, shared.clock, JournalOptionsOf(config)),
      ids(instance, shared.clock),
      schema_pool({.name = "schema", .threads = 2, .queue_max = kSchemaQueueMax}),
      schemas([this](std::function<void()> work) { return schema_pool.TryPost(std::move(work)); }),
      invoker({registry,
               {noop, http_driver, process.get()},
               journal,
               ids,
               timers,
               calls,
               schemas,
               shared.clock}),
      peers(MakePeers(config)),
      reader(invoker, *store),
      directory(reader, instance, peers.get(), peer_auth),
      queue(config.event_broker_address, peer_auth),
      async({registry, queue, journal, directory, ids, shared.clock, peer_auth}),
      executor_api(invoker, journal, directory, async, shared.clock, peer_auth),
      invocation_api({invoker, epochs, fence, *loops, instance, config.deliveries_credit}, reader,
                     peer_auth),
      revision_gauge(shared.metrics.GaugeCallback(
          "penstock_executor_registry_revision", "The function-manager's revision known here.",
          [this] { return static_cast<double>(registry.revision()); },
          {{"server", config.server_name}})),
      functions_gauge(shared.metrics.GaugeCallback(
          "penstock_executor_registry_functions", "Functions that can be called.",
          [this] { return static_cast<double>(registry.size()); },
          {{"server", config.server_name}})),
      streams_gauge(shared.metrics.GaugeCallback(
          "penstock_executor_delivery_streams", "Open streams of brokers.",
          [this] { return static_cast<double>(invocation_api.streams()); },
          {{"server", config.server_name}})),
      workers_gauge(shared.metrics.GaugeCallback(
          "penstock_executor_process_workers",
          "Processes of functions, starting and ending ones too.",
          [this] { return process ? static_cast<double>(process->workers()) : 0; },
          {{"server", config.server_name}})) {
  AddBuiltinMiddleware(&middleware);
  AddTransformMiddleware(jq, &middleware);
  AddGrpcMiddleware(middleware_services, &middleware);
}

App::Parts::~Parts() { Stop(std::chrono::milliseconds(500)); }

bool App::Parts::Stop(std::chrono::milliseconds deadline) {
  if (std::exchange(stopped, true)) return true;
  const auto begin = std::chrono::steady_clock::now();
  const auto drain_end = begin + deadline * kDrainPercent / 100;
  const auto left = [&] {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(
        drain_end - std::chrono::steady_clock::now());
    return std::max(time, std::chrono::milliseconds(0));
  };
  if (host) host->SetServing(false);
  executor_api.CloseTails();
  queue.Stop();
  bool is_clean = invocation_api.Drain(left());
  invoker.StopAccepting();
  if (host) host->Stop(left());
  is_clean = is_clean && invoker.running() == 0;
  watcher.Stop();
  deployments.Stop();
  if (peers) peers->Stop();
  invoker.CancelAll();
  http_driver.Stop();
  if (process) process->Stop();
  deployment_client.Stop();
  jq.Stop();
  middleware_services.Stop();
  client->Stop();
  schema_pool.Stop();
  // Drivers have ended all calls: what their ends still do is queued on the loops, or done.
  loops->Stop();
  registry.EndWaits();
  store->Stop();
  return is_clean;
}

}  // namespace penstock::executor
