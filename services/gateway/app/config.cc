#include "services/gateway/app/config.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "libs/base/status.h"
#include "libs/http/url.h"
#include "libs/rpc/channel.h"
#include "services/gateway/app/proxy_config.h"
#include "services/gateway/domain/web_guard.h"

namespace penstock::gateway {
namespace {

// What is wrong with a listener that is given as text; empty text is none.
void CheckListener(std::string_view key, const std::string& text, AuthKind auth,
                   std::vector<FieldViolation>& violations) {
  if (text.empty() || text == "inproc:") return;
  const auto listen = config::ParseListenAddress(text);
  if (!listen.ok()) {
    violations.push_back({std::string(key), std::string(listen.status().message())});
  } else if (!listen->IsLoopback() && auth == AuthKind::kUnset) {
    violations.push_back(
        {"auth", fmt::format("must be set (api_keys, or none to let everybody in), as {} = {} can "
                             "be reached from other machines",
                             key, text)});
  }
}

void CheckServices(const std::vector<UserServiceOptions>& services,
                   std::vector<FieldViolation>& violations) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < services.size(); ++i) {
    const UserServiceOptions& service = services[i];
    const std::string key = fmt::format("transcoding.services[{}]", i);
    if (service.name.empty()) violations.push_back({key + ".name", "must not be empty"});
    if (!names.insert(service.name).second) {
      violations.push_back({key + ".name", fmt::format("{} is there twice", service.name)});
    }
    if (service.addresses.empty()) {
      violations.push_back({key + ".addresses", "must not be empty: expected host:port"});
    }
    for (std::size_t j = 0; j < service.addresses.size(); ++j) {
      const absl::Status checked =
          rpc::CheckAddress(fmt::format("{}.addresses[{}]", key, j), service.addresses[j]);
      for (FieldViolation& violation : FieldViolationsOf(checked)) {
        violations.push_back(std::move(violation));
      }
    }
    if (service.descriptors.empty()) {
      violations.push_back(
          {key + ".descriptors",
           "must name a file that protoc --descriptor_set_out wrote, or be \"reflection\""});
    }
  }
}

void BindService(config::Binder& binder, UserServiceOptions* service) {
  binder.String("name", &service->name, "for logs and errors");
  binder.StringList("addresses", &service->addresses, "host:port; calls take turns");
  binder.String("descriptors", &service->descriptors,
                "file with a descriptor set, or \"reflection\": the service's own");
  binder.Duration("timeout", &service->timeout, "of a call that is not a stream",
                  {std::chrono::milliseconds(1), std::chrono::hours(24)});
  binder.Bool("tls", &service->tls, "whether to connect with TLS");
  binder.String("tls_ca", &service->tls_ca,
                "PEM file with the authorities to trust; empty: the system's");
}

// What one client may cost the HTTP listeners, in bytes, in connections and in time.
void BindHttp(config::Binder& binder, http::ServerLimits& limits, http::ServerTimeouts& timeouts) {
  binder.Bytes("http.body_bytes_max", &limits.body_bytes_max,
               "largest body, and payload of one event", {1024, 6 << 20});
  binder.Bytes("http.header_bytes_max", &limits.header_bytes_max,
               "request line and header together; more is answered by 431", {1024, 1 << 20});
  binder.Bytes("http.target_bytes_max", &limits.target_bytes_max,
               "path and query of a request; more is answered by 414", {256, 1 << 20});
  binder.Int("http.header_fields_max", &limits.header_fields_max,
             "fields of a header; more is answered by 431", {10, 10'000});
  binder.Bytes("http.chunk_extension_bytes_max", &limits.chunk_extension_bytes_max,
               "extensions of all chunks of a body together", {0, 1 << 20});
  binder.Bytes("http.pipeline_bytes_max", &limits.pipeline_bytes_max,
               "what is read ahead of a connection's next requests", {4096, 16 << 20});
  binder.Bytes("http.stream_bytes_max", &limits.stream_bytes_max,
               "what waits in a stream for a slow client", {64 << 10, 64 << 20});
  binder.Bytes("http.drain_bytes_max", &limits.drain_bytes_max,
               "how much of a refused request is read and dropped", {0, 256 << 20});
  binder.Int("http.connections_max", &limits.connections_max,
             "open connections; one more is answered by 503", {1, 1'000'000});
  const config::Bounds<Microseconds> bounds{std::chrono::milliseconds(10), std::chrono::hours(1)};
  binder.Duration("http.header_timeout", &timeouts.header_read,
                  "from a request's first byte to the end of its header; later is 408", bounds);
  binder.Duration("http.body_timeout", &timeouts.body_read,
                  "from the end of the header to the end of the body; later is 408", bounds);
  binder.Duration("http.idle_timeout", &timeouts.idle,
                  "between requests of a connection, which is then closed", bounds);
  binder.Duration("http.write_timeout", &timeouts.write, "without progress in sending an answer",
                  bounds);
  binder.Duration("http.drain_timeout", &timeouts.drain, "for what follows a refused request",
                  bounds);
}

void BindGrpc(config::Binder& binder, GrpcRoutes& routes) {
  binder.StringList("grpc.allow", &routes.allow,
                    "methods that may be called, as prefixes or globs of package.Service/Method; "
                    "empty: all that have a server");
  binder.StringList("grpc.deny", &routes.deny,
                    "methods that may not be called, as prefixes or globs; wins over grpc.allow");
  binder.Structs<GrpcUpstream>(
      "grpc.upstreams", &routes.upstreams, "gRPC servers besides the suite's own",
      [](config::Binder& item, GrpcUpstream* upstream) {
        item.String("name", &upstream->name, "name in messages");
        item.StringList("addresses", &upstream->addresses, "host:port of each server");
        item.StringList("methods", &upstream->methods,
                        "methods that go there, as prefixes or globs; empty: all");
        item.StringList("authorities", &upstream->authorities,
                        "names in :authority that go there, as globs; these upstreams come before "
                        "the suite's own services, the others after");
        item.Bool("tls", &upstream->tls, "TLS to the servers");
        item.String("tls_ca_file", &upstream->tls_ca_file,
                    "PEM file of authorities to trust in place of the system's");
      });
  binder.StringList("master_api.grpc.addresses", &routes.master_api.addresses,
                    "host:port of each gRPC server of the Master API; empty: the suite's own "
                    "services");
  binder.StringList("master_api.grpc.methods", &routes.master_api.methods,
                    "methods that go there, as prefixes or globs");
  binder.Bool("master_api.grpc.tls", &routes.master_api.tls, "TLS to the servers");
  binder.String("master_api.grpc.tls_ca_file", &routes.master_api.tls_ca_file,
                "PEM file of authorities to trust in place of the system's");
}

void CheckTls(std::string_view section, const http::ServerTls& tls,
              std::vector<FieldViolation>& violations) {
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    violations.push_back(
        {fmt::format("{}.tls.{}_file", section, tls.key_file.empty() ? "key" : "cert"),
         "must not be empty, as the other one of the two is set"});
  }
  if (!tls.client_ca_file.empty() && tls.cert_file.empty()) {
    violations.push_back({fmt::format("{}.tls.client_ca_file", section),
                          fmt::format("needs {}.tls.cert_file", section)});
  }
}

void BindTls(config::Binder& binder, const std::string& section, const std::string& whose,
             http::ServerTls& tls) {
  binder.String(section + ".tls.cert_file", &tls.cert_file,
                fmt::format("PEM file with {}'s certificate and its chain; empty: no TLS", whose));
  binder.String(section + ".tls.key_file", &tls.key_file, "PEM file with its key");
  binder.String(section + ".tls.client_ca_file", &tls.client_ca_file,
                "PEM file with authorities, of one of which clients must present a certificate");
}

}  // namespace

absl::Status Config::Validate() const {
  std::vector<FieldViolation> violations;
  if (http_limits.target_bytes_max >= http_limits.header_bytes_max) {
    violations.push_back(
        {"http.target_bytes_max", "must be less than http.header_bytes_max, which counts it too"});
  }
  CheckTls("http", http_tls, violations);
  CheckTls("grpc", grpc_tls, violations);
  for (const std::string& origin : cors_origins) {
    if (origin == "*" ? auth == AuthKind::kApiKeys : IsOrigin(origin)) continue;
    violations.push_back(
        {"http.cors.allow_origins",
         origin == "*" ? "\"*\" needs auth: api_keys, as any page could call"
                       : fmt::format("expected an origin as browsers send it, such as "
                                     "https://app.example or http://localhost:3000, got \"{}\"",
                                     origin)});
  }
  CheckListener("http.listen", http_listen.ToString(), auth, violations);
  CheckListener("config.listen", config_listen, auth, violations);
  CheckListener("grpc.listen", grpc_listen, auth, violations);
  for (const auto& [key, address] :
       {std::pair("event_broker.address", event_broker_address),
        std::pair("function_manager.address", function_manager_address),
        std::pair("function_executor.address", function_executor_address)}) {
    const absl::Status checked = rpc::CheckAddress(key, address);
    for (FieldViolation& violation : FieldViolationsOf(checked)) {
      violations.push_back(std::move(violation));
    }
  }
  const absl::Status routes = grpc.Validate();
  for (FieldViolation& violation : FieldViolationsOf(routes)) {
    violations.push_back(std::move(violation));
  }
  if (HasTranscodingProxy()) {
    const auto url = http::ParseUrl(transcoding_by);
    if (!url.ok() || url->is_tls || url->target != "/") {
      violations.push_back({"transcoding.by", "must be builtin or http://host:port"});
    }
  }
  CheckServices(services, violations);
  if (peer_token_file.empty()) {
    violations.push_back({"peer.token_file", "must not be empty: expected a file"});
  }
  if (auth == AuthKind::kApiKeys && auth_keys_file.empty()) {
    violations.push_back({"auth_keys_file", "must name a file, as auth is api_keys"});
  }
  for (FieldViolation& violation : proxy.Check()) violations.push_back(std::move(violation));
  return FieldErrors(violations);
}

void Bind(config::Binder& binder, Config& config) {
  BindProxy(binder, config.proxy);
  binder.Listen("http.listen", &config.http_listen, "address of the front door");
  binder.Int("http.threads", &config.http_threads, "event loops; 0: one a core", {0, 256});
  binder.StringList("http.hosts", &config.http_hosts,
                    "names besides localhost under which /api may be called; \"*\": any");
  binder.StringList("http.cors.allow_origins", &config.cors_origins,
                    "origins whose pages may call from elsewhere, https://app.example; \"*\": any, "
                    "with auth: api_keys only; empty: none");
  BindHttp(binder, config.http_limits, config.http_timeouts);
  BindTls(binder, "http", "the front door", config.http_tls);
  binder.String("config.listen", &config.config_listen,
                "address of the founding configuration API (/v1/…); empty: off");
  binder.String("grpc.listen", &config.grpc_listen, "address of the gRPC proxy; empty: off");
  BindTls(binder, "grpc", "the gRPC proxy", config.grpc_tls);
  BindGrpc(binder, config.grpc);
  binder.String("event_broker.address", &config.event_broker_address, "the event-broker");
  binder.String("function_manager.address", &config.function_manager_address,
                "the function-manager");
  binder.String("function_executor.address", &config.function_executor_address,
                "the function-executor");
  binder.String("peer.token_file", &config.peer_token_file,
                "file with the token that services show each other; created when missing");
  binder.Enum<AuthKind>(
      "auth", &config.auth,
      {{"", AuthKind::kUnset}, {"none", AuthKind::kNone}, {"api_keys", AuthKind::kApiKeys}},
      "who may call; must be set for listeners off loopback");
  binder.String("auth_keys_file", &config.auth_keys_file,
                "file with a line principal:key for each key, when auth is api_keys");
  const config::Bounds<Microseconds> bounds{std::chrono::milliseconds(100), std::chrono::hours(1)};
  binder.Duration("publish.timeout", &config.publish_timeout,
                  "from the arrival of an event to its receipt", bounds);
  binder.Duration("api.timeout", &config.api_timeout, "of a management call", bounds);
  binder.String("transcoding.by", &config.transcoding_by,
                "who transcodes the suite's own REST calls: builtin, or grpc-gateway's proxy at "
                "http://host:port");
  binder.StringList(
      "transcoding.request_headers", &config.request_headers,
      "HTTP headers that transcoded calls pass on as metadata, besides Grpc-Metadata-*");
  binder.StringList("transcoding.answer_headers", &config.answer_headers,
                    "metadata of transcoded calls that answers have as headers of the same name");
  binder.Structs<UserServiceOptions>("transcoding.services", &config.services,
                                     "gRPC services to serve as REST", &BindService);
  binder.Duration("invoke.timeout", &config.invoke_timeout,
                  "of a call of a function; the function's own timeout is shorter", bounds);
  for (const char* key : {"http", "auth", "auth_keys_file", "publish.timeout", "api.timeout",
                          "invoke.timeout", "transcoding", "grpc.tls", "grpc.allow", "grpc.deny",
                          "grpc.upstreams", "proxy", "master_api"}) {
    binder.Reloadable(key);
  }
  binder.Fixed("http.listen");
  binder.Fixed("http.threads");
}

}  // namespace penstock::gateway
