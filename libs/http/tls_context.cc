#include <fmt/format.h>
#include <openssl/ssl.h>

#include <string>
#include <string_view>

#include "libs/http/tls_context_asio.h"

namespace penstock::http {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

absl::Status Unusable(const std::string& file, const ErrorCode& error) {
  return absl::InvalidArgumentError(
      fmt::format("tls: cannot use \"{}\": {}", file, error.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<asio::ssl::context>> MakeServerTls(const ServerTls& tls) {
  if (tls.cert_file.empty()) return nullptr;
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  ErrorCode error;
  context->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  context->use_certificate_chain_file(tls.cert_file, error);
  if (error) return Unusable(tls.cert_file, error);
  context->use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
  if (error) return Unusable(tls.key_file, error);
  if (!tls.client_ca_file.empty()) {
    context->load_verify_file(tls.client_ca_file, error);
    if (error) return Unusable(tls.client_ca_file, error);
    context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert,
                             error);
    // Without it OpenSSL ends the handshakes of clients that resume their session.
    constexpr std::string_view kSessions = "penstock";
    SSL_CTX_set_session_id_context(context->native_handle(),
                                   reinterpret_cast<const unsigned char*>(kSessions.data()),
                                   static_cast<unsigned>(kSessions.size()));
  }
  return context;
}

absl::StatusOr<std::unique_ptr<asio::ssl::context>> MakeClientTls(const ClientTls& tls) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  ErrorCode error;
  context->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  if (tls.ca_file.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(tls.ca_file, error);
    if (error) return Unusable(tls.ca_file, error);
  }
  if (!tls.cert_file.empty()) {
    context->use_certificate_chain_file(tls.cert_file, error);
    if (error) return Unusable(tls.cert_file, error);
    context->use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
    if (error) return Unusable(tls.key_file, error);
  }
  context->set_verify_mode(tls.verify_peer ? asio::ssl::verify_peer : asio::ssl::verify_none,
                           error);
  return context;
}

}  // namespace penstock::http
