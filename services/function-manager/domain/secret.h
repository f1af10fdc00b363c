// Secrets as plain values: their values are only ever here encrypted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/time.h"

namespace penstock::functions {

inline constexpr std::string_view kSecretCollection = "secrets";

// Names a secret. Both parts were checked by whoever made it.
struct SecretName {
  std::string space;
  std::string id;

  // "spaces/{space}/secrets/{id}".
  std::string ToString() const;

  friend bool operator==(const SecretName&, const SecretName&) = default;
  friend auto operator<=>(const SecretName&, const SecretName&) = default;
};

// All of a secret but its values.
struct Secret {
  SecretName name;
  std::string uid;              // New for each creation.
  std::int64_t generation = 1;  // Counts the changes of this uid.
  WallTime create_time{};
  WallTime update_time{};
  std::string creator;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> keys;  // Of its values, rising. Given by reads; writes ignore it.

  std::string Etag() const;

  friend bool operator==(const Secret&, const Secret&) = default;
};

// A text under a key that has a name.
struct Sealed {
  std::string key_id;
  std::string nonce;
  std::string ciphertext;  // With the tag that shows that nobody changed it.

  friend bool operator==(const Sealed&, const Sealed&) = default;
};

// One value of a secret, as it is stored.
struct SecretValue {
  SecretName secret;
  std::string uid;  // Of the secret.
  std::string key;
  Sealed sealed;

  // What the encryption binds the value to: moved elsewhere in the store, it cannot be read.
  std::string Binding() const;

  friend bool operator==(const SecretValue&, const SecretValue&) = default;
};

}  // namespace penstock::functions
