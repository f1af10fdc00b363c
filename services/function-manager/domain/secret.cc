#include "services/function-manager/domain/secret.h"

#include <fmt/format.h>

#include "libs/base/ids.h"

namespace penstock::functions {

std::string SecretName::ToString() const {
  return fmt::format("spaces/{}/{}/{}", space, kSecretCollection, id);
}

std::string Secret::Etag() const {
  return Sha256Hex(fmt::format("secret {}:{}", uid, generation)).substr(0, 16);
}

std::string SecretValue::Binding() const {
  return fmt::format("penstock secret value\n{}\n{}\n{}", secret.ToString(), uid, key);
}

}  // namespace penstock::functions
