#include "libs/base/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <memory>

namespace penstock {
namespace {

// Finding the algorithm takes longer than using it.
EVP_MAC* Algorithm() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return algorithm;
}

const unsigned char* BytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string HmacSha256(std::string_view key, std::initializer_list<std::string_view> pieces) {
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(
      EVP_MAC_CTX_new(Algorithm()), EVP_MAC_CTX_free);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
      OSSL_PARAM_construct_end()};
  // A null key would mean the one of before.
  const std::string_view given = key.data() == nullptr ? std::string_view("") : key;
  // Each fails only without memory, and then nothing can be done.
  if (EVP_MAC_init(context.get(), BytesOf(given), given.size(), params) != 1) std::abort();
  for (const std::string_view piece : pieces) {
    if (EVP_MAC_update(context.get(), BytesOf(piece), piece.size()) != 1) std::abort();
  }
  std::string code(32, '\0');
  std::size_t size = 0;
  if (EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(code.data()), &size,
                    code.size()) != 1 ||
      size != code.size()) {
    std::abort();
  }
  return code;
}

}  // namespace penstock
