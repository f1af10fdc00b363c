// The rules for secrets. Values come in and are encrypted at once; none ever leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/function-manager/domain/secret.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/ports/function_store.h"
#include "services/function-manager/ports/secret_cipher.h"

namespace penstock::functions {

struct CreateSecretCommand {
  std::string parent;
  std::string secret_id;
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> metadata;
  std::string principal;
};

struct UpdateSecretCommand {
  std::string name;
  std::string etag;
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> metadata;
  // "values", "values.{key}", "metadata", "*"; empty: what is not empty.
  std::vector<std::string> mask;
};

struct DeleteSecretCommand {
  std::string name;
  std::string etag;
};

struct ListSecretsCommand {
  std::string parent;
  std::int32_t page_size = 0;
  std::string page_token;
};

// A change of a secret, with the manager's revision with which functions see it.
struct SecretMutation {
  Secret secret;
  std::int64_t revision = 0;
};

struct ListSecretsResult {
  std::vector<Secret> secrets;
  std::string next_page_token;
};

// As FunctionCatalog: never blocks, calls back once, thread-safe; what it is given must outlive it
// and its calls.
class SecretCatalog {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  static constexpr std::size_t kValuesMax = 64;
  static constexpr std::size_t kValueBytesMax = std::size_t{64} << 10;
  static constexpr std::size_t kBytesMax = std::size_t{256} << 10;

  SecretCatalog(FunctionStore& store, SecretCipher& cipher, const Clock& clock,
                const SpaceRule& spaces);

  // FAILED_PRECONDITION without a key.
  void Create(CreateSecretCommand command, Done<SecretMutation> done);
  void Get(const std::string& name, Done<Secret> done);
  void List(const ListSecretsCommand& command, Done<ListSecretsResult> done);
  // Functions that name it see the new values with the answer's revision.
  void Update(UpdateSecretCommand command, Done<SecretMutation> done);
  // FAILED_PRECONDITION while a function names it in a version that calls can reach without its
  // number: the newest, or one that traffic, an alias or a hold names.
  void Delete(DeleteSecretCommand command, Done<SecretMutation> done);
  // Encrypts every value with a new key, a bounded number in each transaction, and forgets the
  // older keys at the end. Where values of older keys are left over, it goes on with the current
  // key. Gives how many values were encrypted anew.
  void RotateKey(Done<std::int64_t> done);

 private:
  struct Rotation;

  absl::StatusOr<SecretName> ParseName(std::string_view field, const std::string& name) const;
  absl::Status Store(FunctionWriter& writer, const Secret& secret, const std::string& key,
                     const std::string& text) const;
  void RotateSome(const std::shared_ptr<Rotation>& rotation);

  FunctionStore& store_;
  SecretCipher& cipher_;
  const Clock& clock_;
  const SpaceRule& spaces_;
};

// The problems of the ids that a function names as its secrets: what is no id, is there twice, or
// does not exist. Fields are paths below "function".
absl::Status CheckSecretsExist(FunctionReader& reader, const FunctionName& function,
                               const FunctionSpec& spec);

}  // namespace penstock::functions
