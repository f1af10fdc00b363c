#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/unit/libs/rpc/echo_service.h"

namespace penstock::rpc {
namespace {

// Writes a key and a certificate for "localhost" that signs itself; it is its own authority.
TlsFiles MakeIdentity(const std::filesystem::path& folder, const std::string& name) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(certificate.get(), names, -1);
  X509_EXTENSION_free(names);
  EXPECT_NE(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);

  TlsFiles files;
  files.certificate = (folder / (name + ".crt")).string();
  files.key = (folder / (name + ".key")).string();
  FILE* file = std::fopen(files.certificate.c_str(), "w");
  PEM_write_X509(file, certificate.get());
  std::fclose(file);
  file = std::fopen(files.key.c_str(), "w");
  PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  return files;
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    server_ = MakeIdentity(folder_, "server");
    client_ = MakeIdentity(folder_, "client");
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  // The code of one call to a server that has `server`, from a client that has `client`.
  absl::StatusCode Call(const TlsFiles& server, const std::optional<TlsFiles>& client) {
    EchoService service;
    ServerOptions options;
    options.address = "localhost:0";
    options.tls = server;
    // gRPC's library listens all the same.
    http::EventLoops loops;
    DirectMethods direct;
    options.loops = &loops;
    options.direct = &direct;
    options.services = {&service};
    auto host = ServerHost::Start(options);
    if (!host.ok()) return host.status().code();
    ChannelOptions channel_options;
    channel_options.tls = client;
    const auto channel = MakeChannel((*host)->address(), channel_options).value();
    std::promise<absl::StatusCode> code;
    CallUnary<EchoResponse>(channel, kEcho, EchoRequest(), {},
                            [&](absl::StatusOr<EchoResponse> response, const ResponseMetadata&) {
                              code.set_value(response.status().code());
                            });
    return Await(code);
  }

  std::filesystem::path folder_;
  TlsFiles server_;
  TlsFiles client_;
};

TEST_F(TlsTest, AClientThatTrustsTheServerGetsThrough) {
  EXPECT_EQ(Call(server_, TlsFiles{.ca = server_.certificate}), absl::StatusCode::kOk);
}

TEST_F(TlsTest, AClientThatTrustsSomeoneElseOrSpeaksPlaintextDoesNot) {
  EXPECT_EQ(Call(server_, TlsFiles{.ca = client_.certificate}), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Call(server_, std::nullopt), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, AServerWithAnAuthorityDemandsAClientCertificate) {
  TlsFiles mutual = server_;
  mutual.ca = client_.certificate;
  TlsFiles with = client_;
  with.ca = server_.certificate;
  EXPECT_EQ(Call(mutual, with), absl::StatusCode::kOk);
  EXPECT_EQ(Call(mutual, TlsFiles{.ca = server_.certificate}), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace penstock::rpc
