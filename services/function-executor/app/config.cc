#include "services/function-executor/app/config.h"

#include <fmt/format.h>

#include "libs/base/status.h"
#include "libs/config/listen_address.h"
#include "libs/http/egress.h"
#include "libs/rpc/channel.h"
#include "services/function-executor/app/egress.h"

namespace penstock::executor {
namespace {

void Check(const absl::Status& status, std::string_view field,
           std::vector<FieldViolation>* violations) {
  if (status.ok()) return;
  const std::vector<FieldViolation> own = FieldViolationsOf(status);
  if (own.empty()) violations->push_back({std::string(field), std::string(status.message())});
  violations->insert(violations->end(), own.begin(), own.end());
}

}  // namespace

absl::Status Config::Validate() const {
  std::vector<FieldViolation> violations;
  if (HasListener()) {
    Check(config::ParseListenAddress(grpc_listen).status(), "grpc.listen", &violations);
  }
  if (data_dir.empty()) violations.push_back({"data_dir", "must not be empty: expected a folder"});
  if (peer_token_file.empty()) {
    violations.push_back({"peer.token_file", "must not be empty: expected a file"});
  }
  Check(rpc::CheckAddress("function_manager.address", function_manager_address),
        "function_manager.address", &violations);
  Check(rpc::CheckAddress("event_broker.address", event_broker_address), "event_broker.address",
        &violations);
  if (!cluster_peers.empty()) {
    Check(rpc::CheckAddress("cluster.peers", cluster_peers), "cluster.peers", &violations);
  }
  Check(MakeEgressPolicy(*this).status(), "egress.allow", &violations);
  return FieldErrors(violations);
}

void Bind(config::Binder& binder, Config& config) {
  binder.String("grpc.listen", &config.grpc_listen,
                "address of the gRPC services; \"inproc:\" for callers in this process only");
  binder.String("data_dir", &config.data_dir, "folder of the execution records");
  binder.String("function_manager.address", &config.function_manager_address,
                "the function-manager whose functions run here");
  binder.String("event_broker.address", &config.event_broker_address,
                "the event-broker in whose log asynchronous invocations wait");
  binder.String("peer.token_file", &config.peer_token_file,
                "file with the token that services show each other; created when missing");
  binder.StringList("egress.allow", &config.egress_allow,
                    "networks (CIDR) that functions may be called in although they are not public");
  binder.StringList("egress.denied_ports", &config.egress_denied_ports,
                    "ports at which no function may be called");
  binder.String("tls.ca_file", &config.tls_ca_file,
                "authorities (PEM) that https functions, callbacks and middleware are trusted by; "
                "empty: the system's");
  binder.Bytes("http.answer_bytes_max", &config.http_answer_bytes_max,
               "largest answer of an HTTP function", {1024, std::size_t{6} << 20});
  binder.Bool("process.enabled", &config.process.enabled, "whether process functions run here");
  binder.String("process.work_dir", &config.process.work_dir,
                "folder of the workers; empty: \"process\" in data_dir");
  binder.String("process.user", &config.process.user,
                "user whom workers run as, when the executor is root; empty: its own");
  binder.String("process.launcher", &config.process.launcher,
                "program that starts workers; empty: penstock-launch beside this program");
  binder.String("process.python", &config.process.python, "interpreter of python3 functions");
  binder.String("process.node", &config.process.node, "interpreter of node functions");
  binder.Int("transform.workers", &config.transform.workers,
             "processes that run the jq programs of middleware", {1, 64});
  binder.Bytes("transform.memory_bytes_max", &config.transform.memory_bytes_max,
               "memory of each of them", {std::size_t{32} << 20, std::size_t{4} << 30});
  binder.Duration("transform.time_max", &config.transform.time_max,
                  "how long one jq program may run",
                  {Microseconds(1'000), Microseconds(60'000'000)});
  binder.Enum(
      "executions.record", &config.executions.record,
      {{"all", Recording::kAll}, {"failures", Recording::kFailures}, {"none", Recording::kNone}},
      "which executions leave a record; asynchronous calls always do");
  binder.Duration("executions.retention_age", &config.executions.retention_age,
                  "how long execution records are kept",
                  {Microseconds(60'000'000), Microseconds(400LL * 86'400 * 1'000'000)});
  binder.Int("executions.retention_count", &config.executions.retention_count,
             "how many execution records are kept", {1, 1'000'000'000});
  binder.Bytes("executions.retention_bytes", &config.executions.retention_bytes,
               "how much of the disk execution records take",
               {std::size_t{1} << 20, std::size_t{1} << 50});
  binder.Bytes("executions.body_bytes_max", &config.executions.body_bytes_max,
               "how much of a payload a record keeps", {0, 256 * 1024});
  binder.Int("metrics.function_series_max", &config.function_series_max,
             "series of the metrics that functions emit; what would be more is dropped and counted",
             {0, 1'000'000});
  binder.Int("deliveries.credit", &config.deliveries_credit,
             "deliveries that one broker stream may have in flight", {1, 65'536});
  binder.String("cluster.peers", &config.cluster_peers,
                "\"host:port\" whose addresses are all executors; empty: there is only this one");
  binder.Reloadable("egress");
}

}  // namespace penstock::executor
