// TLS settings as OpenSSL has them. Only for .cc files that use Asio.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/http/client.h"
#include "libs/http/server.h"

namespace penstock::http {

// TLS 1.2 and later. The error names the file that cannot be used. Null without a certificate.
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> MakeServerTls(const ServerTls& tls);
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> MakeClientTls(const ClientTls& tls);

}  // namespace penstock::http
