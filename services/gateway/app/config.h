// The settings of the gateway.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/config/binder.h"
#include "libs/config/listen_address.h"
#include "libs/http/server.h"
#include "services/gateway/api/grpc_routes.h"
#include "services/gateway/api/proxy_options.h"
#include "services/gateway/api/user_upstream.h"

namespace penstock::gateway {

// How callers prove who they are.
enum class AuthKind { kUnset, kNone, kApiKeys };

struct Config {
  config::ListenAddress http_listen{"127.0.0.1", 8080};
  // Event loops; 0 takes one a core.
  int http_threads = 0;
  // Further names in Host headers that the management API answers to.
  std::vector<std::string> http_hosts;
  // Origins whose pages may call from elsewhere; "*" is any.
  std::vector<std::string> cors_origins;
  // Of both HTTP listeners. body_bytes_max is of one event's payload, and of every other body.
  http::ServerLimits http_limits;
  http::ServerTimeouts http_timeouts;
  // Of the front door; without a certificate it speaks plain HTTP.
  http::ServerTls http_tls;
  // The founding configuration API; empty turns it off.
  std::string config_listen = "127.0.0.1:8081";
  // "host:port"; empty or "inproc:" turns the gRPC proxy off.
  std::string grpc_listen = "127.0.0.1:8082";
  // Of that listener; without a certificate it speaks without TLS.
  http::ServerTls grpc_tls;
  // What the gRPC proxy passes on besides the suite's own services, and what it does not.
  GrpcRoutes grpc;
  // "host:port" or "inproc:<name>".
  std::string event_broker_address = "127.0.0.1:9020";
  std::string function_manager_address = "127.0.0.1:9030";
  std::string function_executor_address = "127.0.0.1:9040";
  // The token that services show each other; created when it is missing.
  std::string peer_token_file = "./penstock-data/peer.token";
  AuthKind auth = AuthKind::kUnset;
  std::string auth_keys_file;
  // From the arrival of an event to its receipt.
  std::chrono::milliseconds publish_timeout{10'000};
  // Of management calls.
  std::chrono::milliseconds api_timeout{30'000};
  // HTTP headers that services get as metadata, and metadata that answers have as HTTP headers,
  // under their own names.
  std::vector<std::string> request_headers;
  std::vector<std::string> answer_headers;
  // Who transcodes the suite's own REST calls: "builtin", or the URL of grpc-gateway's reverse
  // proxy.
  std::string transcoding_by = "builtin";
  // Users' own services, whose REST forms are served beside ours.
  std::vector<UserServiceOptions> services;
  // Of calls of functions; their own timeouts are shorter.
  std::chrono::milliseconds invoke_timeout{910'000};

  // Requests that are passed on to HTTP upstreams.
  ProxyOptions proxy;

  // INVALID_ARGUMENT naming the keys.
  absl::Status Validate() const;

  // True when another program transcodes.
  bool HasTranscodingProxy() const { return transcoding_by != "builtin"; }
  // True when there is a gRPC listener on the network.
  bool HasGrpcListener() const { return !grpc_listen.empty() && grpc_listen != "inproc:"; }
};

// Binds the keys of this service; log.* and admin.listen belong to the process.
void Bind(config::Binder& binder, Config& config);

}  // namespace penstock::gateway
