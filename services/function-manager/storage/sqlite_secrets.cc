// The part of the SQLite store that is about secrets.
#include <utility>

#include "libs/base/status.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/storage/spec_json.h"
#include "services/function-manager/storage/sqlite_function_session.h"

namespace penstock::functions {
namespace {

#define PENSTOCK_SECRETS \
  "SELECT space, id, uid, generation, create_time, update_time, creator, metadata FROM secrets "
constexpr std::string_view kGet = PENSTOCK_SECRETS "WHERE space = ? AND id = ?";
constexpr std::string_view kList =
    PENSTOCK_SECRETS "WHERE space = ? AND id > ? ORDER BY id LIMIT ?";
#undef PENSTOCK_SECRETS

#define PENSTOCK_VALUES                                                       \
  "SELECT v.space, v.id, s.uid, v.key, v.key_id, v.nonce, v.ciphertext FROM " \
  "secret_values v JOIN secrets s ON s.space = v.space AND s.id = v.id "
constexpr std::string_view kValues =
    PENSTOCK_VALUES "WHERE v.space = ? AND v.id = ? ORDER BY v.key";
constexpr std::string_view kOtherKeys = PENSTOCK_VALUES "WHERE v.key_id <> ? LIMIT ?";
// The ids of the secrets that a version names: SecretsNamedBy, as it is stored.
#define PENSTOCK_NAMED                                                                \
  "json_each(json_insert(coalesce(json_extract(f.spec, '$.secrets'), '[]'), '$[#]', " \
  "json_extract(f.spec, '$.http.signingSecret'), '$[#]', json_extract(f.spec, "       \
  "'$.async.callbackSigningSecret'))) n "
constexpr std::string_view kOfFunction = PENSTOCK_VALUES
    "WHERE v.space = ?1 AND v.id IN (SELECT n.value FROM versions f, " PENSTOCK_NAMED
    "WHERE f.uid = ?2) ORDER BY v.id, v.key";
#undef PENSTOCK_VALUES

constexpr std::string_view kUsers =
    "SELECT DISTINCT u.id, f.version FROM functions u JOIN versions f ON f.uid = "
    "u.uid, " PENSTOCK_NAMED "WHERE u.space = ? AND n.value = ? ORDER BY u.id, f.version";
#undef PENSTOCK_NAMED

absl::StatusOr<Secret> SecretOf(const sqlite::Statement& row) {
  Secret secret;
  secret.name = {row.String(0), row.String(1)};
  secret.uid = row.String(2);
  secret.generation = row.Int(3);
  secret.create_time = FromUnixMicros(row.Int(4));
  secret.update_time = FromUnixMicros(row.Int(5));
  secret.creator = row.String(6);
  ASSIGN_OR_RETURN(secret.metadata, StringsFromJson(row.Text(7)));
  return secret;
}

absl::StatusOr<std::vector<SecretValue>> ReadValues(sqlite::Statement& statement) {
  std::vector<SecretValue> values;
  RETURN_IF_ERROR(statement.ForEach([&values](const sqlite::Statement& row) {
    values.push_back({{row.String(0), row.String(1)},
                      row.String(2),
                      row.String(3),
                      {row.String(4), std::string(row.Bytes(5)), std::string(row.Bytes(6))}});
    return absl::OkStatus();
  }));
  return values;
}

}  // namespace

absl::StatusOr<std::optional<Secret>> SqliteFunctionSession::GetSecret(const SecretName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kGet));
  statement.BindAll(name.space, name.id);
  ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row) return std::optional<Secret>();
  ASSIGN_OR_RETURN(Secret secret, SecretOf(statement));
  ASSIGN_OR_RETURN(const auto values, SecretValues(name));
  for (const SecretValue& value : values) secret.keys.push_back(value.key);
  return std::optional<Secret>(std::move(secret));
}

absl::StatusOr<std::pair<std::vector<Secret>, bool>> SqliteFunctionSession::ListSecrets(
    const SecretQuery& query) {
  std::pair<std::vector<Secret>, bool> page;
  {
    ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kList));
    statement.BindAll(query.space, query.after_id, query.count_max + 1);
    RETURN_IF_ERROR(statement.ForEach([&page](const sqlite::Statement& row) -> absl::Status {
      ASSIGN_OR_RETURN(Secret secret, SecretOf(row));
      page.first.push_back(std::move(secret));
      return absl::OkStatus();
    }));
  }
  page.second = page.first.size() > query.count_max;
  if (page.second) page.first.pop_back();
  for (Secret& secret : page.first) {
    ASSIGN_OR_RETURN(const auto values, SecretValues(secret.name));
    for (const SecretValue& value : values) secret.keys.push_back(value.key);
  }
  return page;
}

absl::StatusOr<std::vector<SecretValue>> SqliteFunctionSession::SecretValues(
    const SecretName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kValues));
  statement.BindAll(name.space, name.id);
  return ReadValues(statement);
}

absl::StatusOr<std::vector<SecretValue>> SqliteFunctionSession::SecretsOf(
    const Function& function) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kOfFunction));
  statement.BindAll(function.name.space, function.uid);
  return ReadValues(statement);
}

absl::StatusOr<std::vector<VersionName>> SqliteFunctionSession::SecretUsers(
    const SecretName& name) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kUsers));
  statement.BindAll(name.space, name.id);
  std::vector<VersionName> users;
  RETURN_IF_ERROR(statement.ForEach([&](const sqlite::Statement& row) {
    users.push_back({{name.space, row.String(0)}, row.Int(1)});
    return absl::OkStatus();
  }));
  return users;
}

absl::StatusOr<std::vector<SecretValue>> SqliteFunctionSession::ValuesOfOtherKeys(
    const std::string& key_id, std::size_t count_max) {
  ASSIGN_OR_RETURN(sqlite::Statement statement, connection_.Prepare(kOtherKeys));
  statement.BindAll(key_id, count_max);
  return ReadValues(statement);
}

absl::Status SqliteFunctionSession::PutSecret(const Secret& secret) {
  return connection_.Run(
      "INSERT OR REPLACE INTO secrets (space, id, uid, generation, create_time, update_time, "
      "creator, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      secret.name.space, secret.name.id, secret.uid, secret.generation,
      ToUnixMicros(secret.create_time), ToUnixMicros(secret.update_time), secret.creator,
      StringsToJson(secret.metadata));
}

absl::Status SqliteFunctionSession::PutSecretValue(const SecretValue& value) {
  return connection_.Run(
      "INSERT OR REPLACE INTO secret_values (space, id, key, key_id, nonce, ciphertext) "
      "VALUES (?, ?, ?, ?, ?, ?)",
      value.secret.space, value.secret.id, value.key, value.sealed.key_id,
      sqlite::Blob{value.sealed.nonce}, sqlite::Blob{value.sealed.ciphertext});
}

absl::Status SqliteFunctionSession::RemoveSecretValue(const SecretName& name,
                                                      const std::string& key) {
  return connection_.Run("DELETE FROM secret_values WHERE space = ? AND id = ? AND key = ?",
                         name.space, name.id, key);
}

absl::Status SqliteFunctionSession::RemoveSecret(const SecretName& name) {
  RETURN_IF_ERROR(
      connection_.Run("DELETE FROM secret_values WHERE space = ? AND id = ?", name.space, name.id));
  return connection_.Run("DELETE FROM secrets WHERE space = ? AND id = ?", name.space, name.id);
}

absl::StatusOr<std::int64_t> SqliteFunctionSession::Touch(const FunctionName& name) {
  ASSIGN_OR_RETURN(const std::int64_t revision, NextRevision());
  RETURN_IF_ERROR(connection_.Run("UPDATE functions SET revision = ? WHERE space = ? AND id = ?",
                                  revision, name.space, name.id));
  return revision;
}

}  // namespace penstock::functions
