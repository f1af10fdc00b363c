#include "libs/rpc/tls.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "libs/base/callback_guard.h"
#include "libs/base/status.h"

namespace penstock::rpc {
namespace {

absl::StatusOr<std::string> Read(std::string_view field, const std::string& path) {
  AssertMayBlock("TLS file");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file || content.str().empty()) {
    return FieldError(field, fmt::format("cannot read {}", path));
  }
  return content.str();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const TlsFiles& files) {
  grpc::SslCredentialsOptions options;
  if (!files.ca.empty()) {
    ASSIGN_OR_RETURN(options.pem_root_certs, Read("tls.ca", files.ca));
  }
  if (!files.certificate.empty() || !files.key.empty()) {
    ASSIGN_OR_RETURN(options.pem_cert_chain, Read("tls.certificate", files.certificate));
    ASSIGN_OR_RETURN(options.pem_private_key, Read("tls.key", files.key));
  }
  return grpc::SslCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsOf(
    const TlsFiles& files) {
  grpc::SslServerCredentialsOptions options;
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.cert_chain, Read("tls.certificate", files.certificate));
  ASSIGN_OR_RETURN(pair.private_key, Read("tls.key", files.key));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  if (!files.ca.empty()) {
    ASSIGN_OR_RETURN(options.pem_root_certs, Read("tls.ca", files.ca));
    options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return grpc::SslServerCredentials(options);
}

}  // namespace penstock::rpc
