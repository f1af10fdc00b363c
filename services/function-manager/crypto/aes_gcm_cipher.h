// AES-256-GCM with keys from a file or from the settings.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/ports/secret_cipher.h"

namespace penstock::functions {

// A key is 32 random bytes, written as 64 hexadecimal digits. Several are separated by line ends,
// spaces or commas: the first encrypts, all decrypt.
class AesGcmCipher final : public SecretCipher {
 public:
  struct Options {
    std::string key_file;  // Empty: none.
    // Makes `key_file`, with mode 0600, when there is none.
    bool makes_key = false;
    std::string keys;  // In place of a file; from the environment.
  };

  // INVALID_ARGUMENT for what is no key, naming the setting and never the text. A file that others
  // than its owner may read is refused.
  static absl::StatusOr<std::unique_ptr<AesGcmCipher>> Load(Options options);
  ~AesGcmCipher() override;

  absl::StatusOr<std::string> CurrentKey() const override;
  absl::StatusOr<Sealed> Seal(std::string_view binding, std::string_view text) const override;
  absl::StatusOr<std::string> Open(std::string_view binding, const Sealed& sealed) const override;
  absl::Status AddKey() override;
  absl::Status DropOldKeys() override;

  // Whether Load made the file.
  bool made_key() const { return made_key_; }

 private:
  struct Key {
    std::string id;     // The beginning of the key's SHA-256: says nothing of the key.
    std::string bytes;  // 32.
  };

  explicit AesGcmCipher(Options options) : options_(std::move(options)) {}
  absl::Status ReadKeys(std::string_view text, std::string_view field);
  absl::Status WriteFile(const std::vector<Key>& keys) const;
  static Key NewKey();
  static Key MakeKey(std::string bytes);

  const Options options_;
  bool made_key_ = false;
  mutable std::mutex mutex_;
  std::vector<Key> keys_;
};

}  // namespace penstock::functions
