#include "libs/base/ids.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace penstock {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

void FillRandom(unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // Without randomness no id is safe to hand out.
    }
    out += got;
    size -= static_cast<std::size_t>(got);
  }
}

// getrandom costs a system call; ids are made per event, so each thread draws 4 KiB at a time.
void FillPooled(unsigned char* out, std::size_t size) {
  thread_local std::array<unsigned char, 4096> pool;
  thread_local std::size_t used = pool.size();
  if (size > pool.size()) return FillRandom(out, size);
  if (size > pool.size() - used) {
    FillRandom(pool.data(), pool.size());
    used = 0;
  }
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = pool[used];
    pool[used++] = 0;
  }
}

void AppendHex(std::string& out, unsigned char byte) {
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string NewUuid() {
  std::array<unsigned char, 16> bytes;
  FillPooled(bytes.data(), bytes.size());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    AppendHex(out, bytes[i]);
  }
  return out;
}

std::string RandomHex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  FillPooled(random.data(), random.size());
  std::string out;
  out.reserve(bytes * 2);
  for (const unsigned char byte : random) AppendHex(out, byte);
  return out;
}

std::string Sha256Hex(std::string_view data) {
  std::array<unsigned char, 32> digest;
  EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  std::string out;
  out.reserve(64);
  for (const unsigned char byte : digest) AppendHex(out, byte);
  return out;
}

bool EqualsConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace penstock
