#include "services/function-manager/domain/secret_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/page.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"

namespace penstock::functions {
namespace {

using Strings = std::map<std::string, std::string>;

constexpr std::size_t kMetadataMax = 64;
constexpr std::size_t kMetadataKeyMax = 63;
constexpr std::size_t kMetadataValueMax = 1024;
constexpr std::size_t kKeyMax = 63;
constexpr std::size_t kTagBytes = 16;  // What a ciphertext is longer than its text.
constexpr std::size_t kRotatedAtOnce = 200;
constexpr std::string_view kValuesPrefix = "values.";

bool IsKey(std::string_view key) {
  return !key.empty() && key.size() <= kKeyMax && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  });
}

// No message holds a value.
void CheckValues(const Strings& values, std::vector<FieldViolation>& violations) {
  for (const auto& [key, value] : values) {
    if (!IsKey(key)) {
      violations.push_back({"secret.values", fmt::format("{} is not a key: expected 1 to {} "
                                                         "letters, digits, dots, underscores or "
                                                         "hyphens",
                                                         Quoted(key), kKeyMax)});
    } else if (value.empty() || value.size() > SecretCatalog::kValueBytesMax) {
      violations.push_back({fmt::format("secret.values[{}]", Quoted(key)),
                            fmt::format("has {} bytes: expected 1 to {}", value.size(),
                                        SecretCatalog::kValueBytesMax)});
    }
  }
}

void CheckMetadata(const Strings& metadata, std::vector<FieldViolation>& violations) {
  if (metadata.size() > kMetadataMax) {
    violations.push_back({"secret.metadata", fmt::format("has {} entries: expected at most {}",
                                                         metadata.size(), kMetadataMax)});
  }
  for (const auto& [key, value] : metadata) {
    if (key.empty() || CharacterCount(key) > kMetadataKeyMax ||
        CharacterCount(value) > kMetadataValueMax) {
      violations.push_back({fmt::format("secret.metadata[{}]", Quoted(key)),
                            fmt::format("expected a key of 1 to {} and a value of at most {} "
                                        "characters",
                                        kMetadataKeyMax, kMetadataValueMax)});
    }
  }
}

// What holds for all values of a secret together.
absl::Status CheckWhole(std::size_t count, std::size_t bytes) {
  if (count < 1 || count > SecretCatalog::kValuesMax) {
    return FieldError("secret.values", fmt::format("has {} values: expected 1 to {}", count,
                                                   SecretCatalog::kValuesMax));
  }
  if (bytes <= SecretCatalog::kBytesMax) return absl::OkStatus();
  return FieldError("secret.values", fmt::format("has {} bytes in all: expected at most {}", bytes,
                                                 SecretCatalog::kBytesMax));
}

absl::Status SecretNotFound(const SecretName& name) {
  return WithReason(absl::NotFoundError(fmt::format("Secret \"{}\" not found", name.ToString())),
                    "SECRET_NOT_FOUND", {{"secret", name.ToString()}});
}

absl::StatusOr<Secret> Find(FunctionReader& reader, const SecretName& name) {
  ASSIGN_OR_RETURN(std::optional<Secret> found, reader.GetSecret(name));
  if (!found) return SecretNotFound(name);
  return *std::move(found);
}

absl::Status CheckSecretEtag(const Secret& secret, const std::string& etag) {
  return CheckEtag(fmt::format("Secret \"{}\"", secret.name.ToString()), secret.Etag(), etag);
}

// What an update changes.
struct Changes {
  Strings set;
  std::set<std::string> removed;
  bool replaces_values = false;
  bool replaces_metadata = false;
};

absl::StatusOr<Changes> ReadMask(const UpdateSecretCommand& command) {
  Changes changes;
  if (command.mask.empty()) {
    changes.replaces_values = !command.values.empty();
    changes.replaces_metadata = !command.metadata.empty();
  }
  for (const std::string& path : command.mask) {
    if (path == "values" || path == "*") changes.replaces_values = true;
    if (path == "metadata" || path == "*") changes.replaces_metadata = true;
    if (path == "values" || path == "metadata" || path == "*") continue;
    const std::string key =
        path.starts_with(kValuesPrefix) ? path.substr(kValuesPrefix.size()) : std::string();
    if (!IsKey(key)) {
      return FieldError("update_mask", fmt::format("{} is not a field that can be changed: "
                                                   "expected values, values.{{key}}, metadata or *",
                                                   Quoted(path)));
    }
    const auto given = command.values.find(key);
    if (given == command.values.end()) {
      changes.removed.insert(key);
    } else {
      changes.set.insert(*given);
    }
  }
  if (changes.replaces_values) changes.set = command.values;
  return changes;
}

// Tells the functions that name a secret; gives the last revision, or the present one.
absl::StatusOr<std::int64_t> TouchUsers(FunctionWriter& writer, const SecretName& name) {
  ASSIGN_OR_RETURN(const auto users, writer.SecretUsers(name));
  ASSIGN_OR_RETURN(std::int64_t revision, writer.Revision());
  std::set<FunctionName> touched;
  for (const VersionName& user : users) {
    if (!touched.insert(user.function).second) continue;
    ASSIGN_OR_RETURN(revision, writer.Touch(user.function));
  }
  return revision;
}

absl::Status CheckUnused(FunctionReader& reader, const SecretName& name) {
  ASSIGN_OR_RETURN(const auto users, reader.SecretUsers(name));
  std::vector<std::string> named;
  for (const VersionName& user : users) {
    ASSIGN_OR_RETURN(const bool is_reached, IsReached(reader, user));
    if (is_reached) named.push_back(TaggedText(user.function, std::to_string(user.version)));
  }
  if (named.empty()) return absl::OkStatus();
  return WithReason(absl::FailedPreconditionError(fmt::format(
                        "Secret \"{}\" is in use by {}: take it out of what they name first",
                        name.ToString(), HoldersText(named))),
                    "SECRET_IN_USE", {{"secret", name.ToString()}});
}

}  // namespace

SecretCatalog::SecretCatalog(FunctionStore& store, SecretCipher& cipher, const Clock& clock,
                             const SpaceRule& spaces)
    : store_(store), cipher_(cipher), clock_(clock), spaces_(spaces) {}

absl::StatusOr<SecretName> SecretCatalog::ParseName(std::string_view field,
                                                    const std::string& name) const {
  ASSIGN_OR_RETURN(ResourceName parsed, ParseResourceName(field, kSecretCollection, name));
  RETURN_IF_ERROR(spaces_.Check(parsed.space));
  return SecretName{std::move(parsed.space), std::move(parsed.id)};
}

absl::Status SecretCatalog::Store(FunctionWriter& writer, const Secret& secret,
                                  const std::string& key, const std::string& text) const {
  SecretValue value{secret.name, secret.uid, key, {}};
  ASSIGN_OR_RETURN(value.sealed, cipher_.Seal(value.Binding(), text));
  return writer.PutSecretValue(value);
}

void SecretCatalog::Create(CreateSecretCommand command, Done<SecretMutation> done) {
  auto name = [&]() -> absl::StatusOr<SecretName> {
    ASSIGN_OR_RETURN(std::string space, spaces_.ParseParent("parent", command.parent));
    RETURN_IF_ERROR(CheckResourceId("secret_id", command.secret_id));
    std::vector<FieldViolation> violations;
    CheckValues(command.values, violations);
    CheckMetadata(command.metadata, violations);
    RETURN_IF_ERROR(FieldErrors(violations));
    std::size_t bytes = 0;
    for (const auto& [key, value] : command.values) bytes += value.size();
    RETURN_IF_ERROR(CheckWhole(command.values.size(), bytes));
    RETURN_IF_ERROR(cipher_.CurrentKey().status());
    return SecretName{std::move(space), command.secret_id};
  }();
  if (!name.ok()) return done(name.status());
  auto result = std::make_shared<SecretMutation>();
  store_.Write(
      [this, result, name = *std::move(name),
       command = std::move(command)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto found, writer.GetSecret(name));
        if (found) {
          return WithReason(absl::AlreadyExistsError(
                                fmt::format("Secret \"{}\" already exists", name.ToString())),
                            "SECRET_EXISTS", {{"secret", name.ToString()}});
        }
        Secret& secret = result->secret;
        secret.name = name;
        secret.uid = NewUuid();
        secret.create_time = secret.update_time = clock_.Wall();
        secret.creator = command.principal;
        secret.metadata = command.metadata;
        RETURN_IF_ERROR(writer.PutSecret(secret));
        for (const auto& [key, value] : command.values) {
          RETURN_IF_ERROR(Store(writer, secret, key, value));
          secret.keys.push_back(key);
        }
        // A kept version may have named it while it was not there.
        ASSIGN_OR_RETURN(result->revision, TouchUsers(writer, name));
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void SecretCatalog::Get(const std::string& name, Done<Secret> done) {
  auto parsed = ParseName("name", name);
  if (!parsed.ok()) return done(parsed.status());
  auto result = std::make_shared<Secret>();
  store_.Read(
      [result, name = *std::move(parsed)](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(*result, Find(reader, name));
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void SecretCatalog::List(const ListSecretsCommand& command, Done<ListSecretsResult> done) {
  SecretQuery query;
  const absl::Status checked = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(query.space, spaces_.ParseParent("parent", command.parent));
    ASSIGN_OR_RETURN(query.count_max, CheckPageSize(command.page_size));
    ASSIGN_OR_RETURN(query.after_id, ParsePageToken("secrets " + query.space, command.page_token));
    return absl::OkStatus();
  }();
  if (!checked.ok()) return done(checked);
  auto result = std::make_shared<ListSecretsResult>();
  store_.Read(
      [result, query](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(auto page, reader.ListSecrets(query));
        result->secrets = std::move(page.first);
        if (page.second) {
          result->next_page_token =
              MakePageToken("secrets " + query.space, result->secrets.back().name.id);
        }
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void SecretCatalog::Update(UpdateSecretCommand command, Done<SecretMutation> done) {
  auto name = ParseName("secret.name", command.name);
  if (!name.ok()) return done(name.status());
  auto changes = ReadMask(command);
  if (!changes.ok()) return done(changes.status());
  std::vector<FieldViolation> violations;
  CheckValues(changes->set, violations);
  if (changes->replaces_metadata) CheckMetadata(command.metadata, violations);
  if (absl::Status checked = FieldErrors(violations); !checked.ok()) return done(checked);
  auto result = std::make_shared<SecretMutation>();
  store_.Write(
      [this, result, name = *std::move(name), command = std::move(command),
       changes = *std::move(changes)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Secret secret, Find(writer, name));
        RETURN_IF_ERROR(CheckSecretEtag(secret, command.etag));
        ASSIGN_OR_RETURN(const auto values, writer.SecretValues(name));
        std::map<std::string, std::size_t> sizes;
        for (const SecretValue& value : values) {
          const bool goes = changes.replaces_values || changes.removed.contains(value.key);
          if (goes) {
            RETURN_IF_ERROR(writer.RemoveSecretValue(name, value.key));
          } else {
            sizes[value.key] = value.sealed.ciphertext.size() - kTagBytes;
          }
        }
        for (const auto& [key, value] : changes.set) sizes[key] = value.size();
        std::size_t bytes = 0;
        secret.keys.clear();
        for (const auto& [key, size] : sizes) {
          bytes += size;
          secret.keys.push_back(key);
        }
        RETURN_IF_ERROR(CheckWhole(sizes.size(), bytes));
        for (const auto& [key, value] : changes.set) {
          RETURN_IF_ERROR(Store(writer, secret, key, value));
        }
        if (changes.replaces_metadata) secret.metadata = command.metadata;
        ++secret.generation;
        secret.update_time = clock_.Wall();
        RETURN_IF_ERROR(writer.PutSecret(secret));
        ASSIGN_OR_RETURN(result->revision, TouchUsers(writer, name));
        result->secret = std::move(secret);
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void SecretCatalog::Delete(DeleteSecretCommand command, Done<SecretMutation> done) {
  auto name = ParseName("name", command.name);
  if (!name.ok()) return done(name.status());
  auto result = std::make_shared<SecretMutation>();
  store_.Write(
      [result, name = *std::move(name),
       etag = command.etag](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const Secret secret, Find(writer, name));
        RETURN_IF_ERROR(CheckSecretEtag(secret, etag));
        RETURN_IF_ERROR(CheckUnused(writer, name));
        RETURN_IF_ERROR(writer.RemoveSecret(name));
        ASSIGN_OR_RETURN(result->revision, TouchUsers(writer, name));
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

// A rotation on its way: one transaction after the other.
struct SecretCatalog::Rotation {
  Done<std::int64_t> done;
  std::int64_t count = 0;
  bool is_first = true;
  bool is_over = false;
};

void SecretCatalog::RotateKey(Done<std::int64_t> done) {
  auto rotation = std::make_shared<Rotation>();
  rotation->done = std::move(done);
  RotateSome(rotation);
}

void SecretCatalog::RotateSome(const std::shared_ptr<Rotation>& rotation) {
  auto rotated = std::make_shared<std::int64_t>(0);
  store_.Write(
      [this, rotation, rotated](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(std::string key, cipher_.CurrentKey());
        ASSIGN_OR_RETURN(auto values, writer.ValuesOfOtherKeys(key, kRotatedAtOnce));
        if (rotation->is_first && values.empty()) {
          RETURN_IF_ERROR(cipher_.AddKey());
          ASSIGN_OR_RETURN(key, cipher_.CurrentKey());
          ASSIGN_OR_RETURN(values, writer.ValuesOfOtherKeys(key, kRotatedAtOnce));
        }
        rotation->is_first = false;
        for (SecretValue& value : values) {
          ASSIGN_OR_RETURN(const std::string text, cipher_.Open(value.Binding(), value.sealed));
          ASSIGN_OR_RETURN(value.sealed, cipher_.Seal(value.Binding(), text));
          RETURN_IF_ERROR(writer.PutSecretValue(value));
        }
        *rotated = static_cast<std::int64_t>(values.size());
        // In a transaction that found nothing left to do: what was done before is durable.
        rotation->is_over = values.empty();
        return rotation->is_over ? cipher_.DropOldKeys() : absl::OkStatus();
      },
      [this, rotation, rotated](const absl::Status& status) {
        if (!status.ok()) return rotation->done(status);
        rotation->count += *rotated;
        if (rotation->is_over) return rotation->done(rotation->count);
        RotateSome(rotation);
      });
}

absl::Status CheckSecretsExist(FunctionReader& reader, const FunctionName& function,
                               const FunctionSpec& spec) {
  std::vector<FieldViolation> violations;
  for (const NamedSecret& secret : SecretsNamedBy(spec)) {
    ASSIGN_OR_RETURN(const auto found, reader.GetSecret({function.space, secret.id}));
    if (found) continue;
    violations.push_back({fmt::format("function.{}", secret.field),
                          fmt::format("{} is no secret of the space", Quoted(secret.id))});
  }
  return FieldErrors(violations);
}

}  // namespace penstock::functions
