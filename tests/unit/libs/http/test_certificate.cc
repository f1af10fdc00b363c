#include "tests/unit/libs/http/test_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

namespace penstock::http {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

constexpr long kHour = 3600;

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// A certificate for `key`, signed by `issuer_key`; self-signed when `issuer` is null.
Certificate Make(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                 const char* alternative_names) {
  static long serial = 1;
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kHour);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kHour);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* signer = issuer == nullptr ? certificate.get() : issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  AddExtension(certificate.get(), signer, NID_basic_constraints,
               issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (alternative_names != nullptr) {
    AddExtension(certificate.get(), signer, NID_subject_alt_name, alternative_names);
  }
  X509_sign(certificate.get(), issuer_key, EVP_sha256());
  return certificate;
}

void Save(const std::string& path, X509* certificate, EVP_PKEY* key) {
  std::FILE* file = std::fopen((path + ".pem").c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  if (key == nullptr) return;
  file = std::fopen((path + ".key").c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
}

Key NewKey() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

}  // namespace

TestCertificates::TestCertificates() {
  std::string pattern = (std::filesystem::temp_directory_path() / "penstock-tls-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  folder_ = pattern;
  const Key ca_key = NewKey();
  const Certificate ca = Make("Test authority", ca_key.get(), nullptr, ca_key.get(), nullptr);
  Save(folder_ + "/ca", ca.get(), nullptr);
  const auto issue = [&](const char* file, const char* name, const char* alternative_names) {
    const Key key = NewKey();
    const Certificate certificate =
        Make(name, key.get(), ca.get(), ca_key.get(), alternative_names);
    Save(folder_ + "/" + file, certificate.get(), key.get());
  };
  issue("server", "localhost", "DNS:localhost,IP:127.0.0.1");
  issue("other", "elsewhere.test", "DNS:elsewhere.test");
  issue("client", "client", nullptr);
}

TestCertificates::~TestCertificates() { std::filesystem::remove_all(folder_); }

}  // namespace penstock::http
