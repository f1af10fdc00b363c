#include "services/gateway/app/generation.h"

#include <utility>

#include "libs/base/status.h"
#include "services/gateway/api/file_digest.h"

namespace penstock::gateway {
namespace {

EventInputLimits InputLimitsOf(const Config& config) {
  EventInputLimits limits;
  limits.data_bytes_max = config.http_limits.body_bytes_max;
  return limits;
}

HeaderRules HeadersOf(const Config& config) {
  return {.request = config.request_headers, .answer = config.answer_headers};
}

std::string DigestOf(const http::ServerTls& tls) {
  return DigestOfFiles({tls.cert_file, tls.key_file, tls.client_ca_file});
}

bool HasSameFiles(const http::ServerTls& a, const http::ServerTls& b) {
  return a.cert_file == b.cert_file && a.key_file == b.key_file &&
         a.client_ca_file == b.client_ca_file;
}

}  // namespace

Generation::Generation(const Config& config, const Base& base)
    : config_(config),
      http_tls_digest_(DigestOf(config.http_tls)),
      grpc_tls_digest_(DigestOf(config.grpc_tls)),
      guard_(config.http_hosts, config.cors_origins),
      functions_(base.backends, base.call_options, config.invoke_timeout),
      http_events_(base.routes, base.publisher, functions_),
      publish_(base.publisher, InputLimitsOf(config)) {}

absl::StatusOr<std::unique_ptr<Generation>> Generation::Create(const Config& config,
                                                               const Base& base,
                                                               const Generation* before) {
  std::unique_ptr<Generation> made(new Generation(config, base));
  if (config.auth == AuthKind::kApiKeys) {
    ASSIGN_OR_RETURN(made->authenticator_, Authenticator::LoadKeys(config.auth_keys_file));
  }
  RETURN_IF_ERROR(made->CreateServices(base, before));
  ASSIGN_OR_RETURN(made->reverse_proxy_,
                   ReverseProxy::Create(
                       config.proxy, {base.env.loops, base.env.clock, base.metrics, made->guard_},
                       before == nullptr ? nullptr : before->reverse_proxy_.get()));
  RETURN_IF_ERROR(made->CreateGrpc(base, before));
  made->web_rpc_ = std::make_unique<const WebRpc>(WebRpc::Deps{
      *made->grpc_targets_, *made->services_, made->authenticator_, made->guard_, base.peer_auth});
  made->front_door_ = std::make_unique<FrontDoor>(
      FrontDoorSurfaces{made->publish_, *made->api_, made->functions_, made->http_events_,
                        *made->services_, made->authenticator_, *made->reverse_proxy_,
                        base.reference, *made->web_rpc_, made->guard_},
      base.env);
  made->legacy_ = std::make_unique<LegacyConfigApi>(
      LegacyConfigApi::Deps{base.env, base.backends, base.call_options, made->guard_,
                            made->authenticator_, base.revisions, base.routes});
  return made;
}

absl::Status Generation::CreateServices(const Base& base, const Generation* before) {
  if (config_.HasTranscodingProxy()) {
    if (before != nullptr && before->config_.transcoding_by == config_.transcoding_by) {
      transcoding_proxy_ = before->transcoding_proxy_;
    } else {
      ASSIGN_OR_RETURN(transcoding_proxy_,
                       TranscodingProxy::Create(base.env.loops, config_.transcoding_by));
    }
  }
  ASSIGN_OR_RETURN(
      api_, TranscodedApi::Create({base.backends, base.call_options, functions_, guard_,
                                   base.revisions, base.routes, transcoding_proxy_.get()},
                                  {.timeout = config_.api_timeout, .headers = HeadersOf(config_)}));
  if (before != nullptr && before->services_->IsFor(config_.services, HeadersOf(config_))) {
    services_ = before->services_;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(services_, UserServices::Create(
                                  config_.services, api_->table(), HeadersOf(config_), base.metrics,
                                  before == nullptr ? nullptr : before->services_.get()));
  return absl::OkStatus();
}

absl::Status Generation::CreateGrpc(const Base& base, const Generation* before) {
  ASSIGN_OR_RETURN(
      grpc_targets_,
      GrpcTargets::Create(base.env.loops,
                          {config_.event_broker_address, config_.function_manager_address,
                           config_.function_executor_address},
                          config_.grpc, before == nullptr ? nullptr : before->grpc_targets_.get()));
  if (!config_.HasGrpcListener()) return absl::OkStatus();
  grpc_ = std::make_unique<const GrpcRules>(GrpcRules::Of(*grpc_targets_, authenticator_));
  return absl::OkStatus();
}

void Generation::Start() {
  services_->Start();
  reverse_proxy_->Start();
}

void Generation::Retire(const Generation& next) {
  if (services_ != next.services_) services_->Stop();
  reverse_proxy_->Retire(*next.reverse_proxy_);
}

void Generation::Stop() {
  grpc_targets_->Stop();
  services_->Stop();
}

std::vector<std::string> Generation::RenewedFiles(const Generation& before) const {
  std::vector<std::string> renewed;
  const bool has_same_keys = config_.auth == AuthKind::kApiKeys &&
                             config_.auth == before.config_.auth &&
                             config_.auth_keys_file == before.config_.auth_keys_file;
  if (has_same_keys && !(authenticator_ == before.authenticator_)) {
    renewed.emplace_back("auth_keys_file");
  }
  if (HasSameFiles(config_.http_tls, before.config_.http_tls) &&
      http_tls_digest_ != before.http_tls_digest_) {
    renewed.emplace_back("http.tls.cert_file");
  }
  if (HasSameFiles(config_.grpc_tls, before.config_.grpc_tls) &&
      grpc_tls_digest_ != before.grpc_tls_digest_) {
    renewed.emplace_back("grpc.tls.cert_file");
  }
  return renewed;
}

}  // namespace penstock::gateway
