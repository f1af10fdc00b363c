#include "services/function-manager/crypto/aes_gcm_cipher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/status.h"

namespace penstock::functions {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;  // What GCM is made for (NIST SP 800-38D, 8.2).
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKeysMax = 16;
constexpr std::string_view kSeparators = " \t\r\n,";
constexpr char kKeyField[] = "secrets.key";
constexpr char kKeyFileField[] = "secrets.key_file";

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

CipherContext NewContext() { return {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free}; }

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string RandomBytes(std::size_t size) {
  std::string bytes(size, '\0');
  // OpenSSL reports a source of randomness that failed; without one no nonce may be used.
  if (RAND_bytes(Bytes(bytes), static_cast<int>(size)) != 1) bytes.clear();
  return bytes;
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Empty unless `text` is 64 hexadecimal digits.
std::string KeyFromHex(std::string_view text) {
  std::string bytes;
  if (text.size() != 2 * kKeyBytes) return bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = DigitOf(text[i]);
    const int low = DigitOf(text[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

absl::Status FileError(std::string_view what, const std::string& path) {
  return absl::UnavailableError(
      fmt::format("{}: {} \"{}\": {}", kKeyFileField, what, path, std::strerror(errno)));
}

// Writes all of `text` and syncs it.
bool WriteAndSync(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return fsync(file) == 0;
}

void SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int file = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  (void)fsync(file);
  close(file);
}

}  // namespace

AesGcmCipher::~AesGcmCipher() {
  for (Key& key : keys_) OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
}

AesGcmCipher::Key AesGcmCipher::MakeKey(std::string bytes) {
  std::string id = Sha256Hex("penstock secret key\n" + bytes).substr(0, 16);
  return {std::move(id), std::move(bytes)};
}

AesGcmCipher::Key AesGcmCipher::NewKey() { return MakeKey(RandomBytes(kKeyBytes)); }

absl::StatusOr<std::unique_ptr<AesGcmCipher>> AesGcmCipher::Load(Options options) {
  std::unique_ptr<AesGcmCipher> cipher(new AesGcmCipher(std::move(options)));
  const Options& given = cipher->options_;
  if (!given.keys.empty()) {
    RETURN_IF_ERROR(cipher->ReadKeys(given.keys, kKeyField));
    return cipher;
  }
  if (given.key_file.empty()) return cipher;
  struct stat found {};
  if (stat(given.key_file.c_str(), &found) != 0) {
    if (errno != ENOENT || !given.makes_key) return FileError("cannot read", given.key_file);
    std::vector<Key> keys{NewKey()};
    if (keys[0].bytes.empty()) return absl::InternalError("there is no randomness for a key");
    RETURN_IF_ERROR(cipher->WriteFile(keys));
    cipher->keys_ = std::move(keys);
    cipher->made_key_ = true;
    return cipher;
  }
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return FieldError(kKeyFileField, fmt::format("\"{}\" can be read by others than its owner: "
                                                 "expected mode 0600",
                                                 given.key_file));
  }
  std::ifstream file(given.key_file);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return FileError("cannot read", given.key_file);
  RETURN_IF_ERROR(cipher->ReadKeys(text.str(), kKeyFileField));
  return cipher;
}

absl::Status AesGcmCipher::ReadKeys(std::string_view text, std::string_view field) {
  while (true) {
    const std::size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const std::string_view one = text.substr(0, text.find_first_of(kSeparators));
    text.remove_prefix(one.size());
    std::string bytes = KeyFromHex(one);
    if (bytes.empty() || keys_.size() == kKeysMax) {
      return FieldError(field, fmt::format("number {} is no key, or one too many: expected 1 to {} "
                                           "keys of 64 hexadecimal digits, the current one first",
                                           keys_.size() + 1, kKeysMax));
    }
    keys_.push_back(MakeKey(std::move(bytes)));
  }
  if (!keys_.empty()) return absl::OkStatus();
  return FieldError(field, "holds no key: expected 64 hexadecimal digits");
}

absl::Status AesGcmCipher::WriteFile(const std::vector<Key>& keys) const {
  std::string text;
  for (const Key& key : keys) {
    for (const char c : key.bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    text += '\n';
  }
  // Beside the file and then in its place: a crash leaves the one or the other.
  const std::string path = options_.key_file + ".tmp";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return FileError("cannot write", path);
  const bool is_written = fchmod(file, 0600) == 0 && WriteAndSync(file, text);
  close(file);
  OPENSSL_cleanse(text.data(), text.size());
  if (!is_written || rename(path.c_str(), options_.key_file.c_str()) != 0) {
    return FileError("cannot write", path);
  }
  SyncFolderOf(options_.key_file);
  return absl::OkStatus();
}

absl::StatusOr<std::string> AesGcmCipher::CurrentKey() const {
  const std::lock_guard lock(mutex_);
  if (!keys_.empty()) return keys_.front().id;
  return absl::FailedPreconditionError(
      "the function-manager has no key to encrypt secrets with: give it secrets.key_file, a file "
      "of "
      "mode 0600 with 64 hexadecimal digits (openssl rand -hex 32), or the environment variable "
      "PENSTOCK_SECRETS_KEY");
}

absl::StatusOr<Sealed> AesGcmCipher::Seal(std::string_view binding, std::string_view text) const {
  RETURN_IF_ERROR(CurrentKey().status());
  Key key;
  {
    const std::lock_guard lock(mutex_);
    key = keys_.front();
  }
  Sealed sealed{key.id, RandomBytes(kNonceBytes), std::string(text.size() + kTagBytes, '\0')};
  const CipherContext context = NewContext();
  unsigned char* const out = Bytes(sealed.ciphertext);
  int length = 0;
  const bool is_sealed =
      !sealed.nonce.empty() && context != nullptr &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                         Bytes(std::string_view(key.bytes)),
                         Bytes(std::string_view(sealed.nonce))) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, Bytes(binding),
                        static_cast<int>(binding.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), out, &length, Bytes(text), static_cast<int>(text.size())) ==
          1 &&
      EVP_EncryptFinal_ex(context.get(), out + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + text.size()) == 1;
  OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
  if (!is_sealed) return absl::InternalError("a secret's value could not be encrypted");
  return sealed;
}

absl::StatusOr<std::string> AesGcmCipher::Open(std::string_view binding,
                                               const Sealed& sealed) const {
  Key key;
  {
    const std::lock_guard lock(mutex_);
    for (const Key& known : keys_) {
      if (known.id == sealed.key_id) key = known;
    }
  }
  if (key.bytes.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "a secret's value is encrypted with the key {}, which is not among the keys of {} or {}",
        sealed.key_id, kKeyFileField, kKeyField));
  }
  if (sealed.nonce.size() != kNonceBytes || sealed.ciphertext.size() < kTagBytes) {
    return absl::DataLossError("a secret's stored value is damaged");
  }
  const std::size_t size = sealed.ciphertext.size() - kTagBytes;
  std::string tag = sealed.ciphertext.substr(size);
  std::string text(size, '\0');
  const CipherContext context = NewContext();
  int length = 0;
  const bool is_open =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                         Bytes(std::string_view(key.bytes)),
                         Bytes(std::string_view(sealed.nonce))) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, Bytes(binding),
                        static_cast<int>(binding.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), Bytes(text), &length,
                        Bytes(std::string_view(sealed.ciphertext)), static_cast<int>(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), Bytes(text) + length, &length) == 1;
  OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
  if (is_open) return text;
  OPENSSL_cleanse(text.data(), text.size());
  return absl::DataLossError("a secret's stored value is damaged, or belongs to another secret");
}

absl::Status AesGcmCipher::AddKey() {
  if (!options_.keys.empty()) {
    return absl::FailedPreconditionError(
        "the key is in the environment: start the function-manager with PENSTOCK_SECRETS_KEY="
        "<new>,<old>, rotate, and then leave the old one out");
  }
  RETURN_IF_ERROR(CurrentKey().status());
  const std::lock_guard lock(mutex_);
  std::vector<Key> keys = keys_;
  keys.insert(keys.begin(), NewKey());
  if (keys.front().bytes.empty()) return absl::InternalError("there is no randomness for a key");
  RETURN_IF_ERROR(WriteFile(keys));
  keys_ = std::move(keys);
  return absl::OkStatus();
}

absl::Status AesGcmCipher::DropOldKeys() {
  const std::lock_guard lock(mutex_);
  if (keys_.size() < 2 || !options_.keys.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFile({keys_.front()}));
  for (std::size_t i = 1; i < keys_.size(); ++i) {
    OPENSSL_cleanse(keys_[i].bytes.data(), keys_[i].bytes.size());
  }
  keys_.resize(1);
  return absl::OkStatus();
}

}  // namespace penstock::functions
