// Certificates for tests, made on the spot with the OpenSSL library.
#pragma once

#include <string>

namespace penstock::http {

// PEM files in a temporary folder that goes away with the object.
class TestCertificates {
 public:
  TestCertificates();
  ~TestCertificates();

  // An authority; a server certificate of it for "localhost" and 127.0.0.1; a client certificate of
  // it.
  std::string ca_file() const { return folder_ + "/ca.pem"; }
  std::string server_cert_file() const { return folder_ + "/server.pem"; }
  std::string server_key_file() const { return folder_ + "/server.key"; }
  std::string client_cert_file() const { return folder_ + "/client.pem"; }
  std::string client_key_file() const { return folder_ + "/client.key"; }
  // A server certificate of the same authority for "elsewhere.test" only.
  std::string other_cert_file() const { return folder_ + "/other.pem"; }
  std::string other_key_file() const { return folder_ + "/other.key"; }

 private:
  std::string folder_;
};

}  // namespace penstock::http
