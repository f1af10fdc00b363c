// The settings of the function-executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/time.h"
#include "libs/config/binder.h"
#include "services/function-executor/domain/execution_journal.h"

namespace penstock::executor {

struct ProcessSettings {
  // False: process functions end with an error that says so.
  bool enabled = true;
  // Empty: "process" in the data folder.
  std::string work_dir;
  // Empty: penstock-launch beside the running program.
  std::string launcher;
  std::string python = "python3";
  std::string node = "node";
  std::string user;  // Whom workers run as; empty: the executor's own user.
};

// Of the jq programs of middleware.
struct TransformSettings {
  int workers = 2;
  std::size_t memory_bytes_max = 256U << 20;  // Of each worker.
  Microseconds time_max{1'000'000};           // Of one transformation.
};

struct ExecutionSettings {
  Recording record = Recording::kAll;
  Microseconds retention_age{7LL * 24 * 3600 * 1'000'000};
  std::int64_t retention_count = 1'000'000;
  std::size_t retention_bytes = std::size_t{4} << 30;
  std::size_t body_bytes_max = 8 * 1024;
};

struct Config {
  // "host:port"; empty or "inproc:" serves callers in this process only.
  std::string grpc_listen = "127.0.0.1:9040";
  // Holds the records and the instance id; one process at a time. With `cluster.peers`, every
  // replica takes a folder of its own in it.
  std::string data_dir = "./penstock-data/function-executor";
  // "host:port" or "inproc:function-manager".
  std::string function_manager_address = "127.0.0.1:9030";
  // "host:port" or "inproc:event-broker": where asynchronous invocations wait.
  std::string event_broker_address = "127.0.0.1:9020";
  // The token that services show each other; created when it is missing.
  std::string peer_token_file = "./penstock-data/peer.token";
  // Networks that functions may be called in although they are not public.
  std::vector<std::string> egress_allow;
  // Ports that are refused on every address, as numbers.
  std::vector<std::string> egress_denied_ports;
  // Authorities (PEM) that servers of functions, callbacks and middleware are trusted by; empty:
  // the system's.
  std::string tls_ca_file;
  // The largest answer of an HTTP function.
  std::size_t http_answer_bytes_max = 1U << 20;
  ProcessSettings process;
  TransformSettings transform;
  ExecutionSettings executions;
  // Series of the metrics that functions emit.
  std::int64_t function_series_max = 1000;
  // Deliveries that one stream of a broker may have in flight.
  int deliveries_credit = 256;
  // "host:port" whose addresses are all executors; empty: there is no other.
  std::string cluster_peers;
  // Not a key: the name for "inproc:" addresses, which tells two executors in one process apart.
  std::string server_name = "function-executor";

  // INVALID_ARGUMENT naming the keys.
  absl::Status Validate() const;

  // True when there is a network listener.
  bool HasListener() const { return !grpc_listen.empty() && grpc_listen != "inproc:"; }
};

// Binds the keys of this service; log.* and admin.listen belong to the process.
void Bind(config::Binder& binder, Config& config);

}  // namespace penstock::executor
