// Encrypts the values of secrets.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/secret.h"

namespace penstock::functions {

// Has one key that encrypts and perhaps older ones that only decrypt. Thread-safe. It may block for
// the time of a file's writing in AddKey and DropOldKeys, and there only.
class SecretCipher {
 public:
  virtual ~SecretCipher() = default;

  // The id of the key that encrypts. FAILED_PRECONDITION without one, saying how to give one.
  virtual absl::StatusOr<std::string> CurrentKey() const = 0;

  // Encrypts with the current key; `binding` must be given again to decrypt.
  virtual absl::StatusOr<Sealed> Seal(std::string_view binding, std::string_view text) const = 0;

  // DATA_LOSS for what was changed or belongs elsewhere, FAILED_PRECONDITION without its key. No
  // error says anything of the text.
  virtual absl::StatusOr<std::string> Open(std::string_view binding,
                                           const Sealed& sealed) const = 0;

  // Makes a new key the current one, durably, beside the older ones. FAILED_PRECONDITION where keys
  // come from the environment.
  virtual absl::Status AddKey() = 0;

  // Forgets all keys but the current one.
  virtual absl::Status DropOldKeys() = 0;
};

}  // namespace penstock::functions
