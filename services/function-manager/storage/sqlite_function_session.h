// One job's view of the SQLite store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libs/sqlite/connection.h"
#include "libs/sqlite/statement.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// Reads and writes functions on a connection that is inside a transaction. Belongs to one job on
// one thread; `connection` must outlive it. On a read-only connection the writing methods fail.
class SqliteFunctionSession final : public FunctionWriter {
 public:
  // Of the deletions, the last `deletions_kept` can be read as changes.
  SqliteFunctionSession(sqlite::Connection& connection, std::int64_t deletions_kept)
      : connection_(connection), deletions_kept_(deletions_kept) {}

  absl::StatusOr<std::optional<Function>> Get(const FunctionName& name) override;
  absl::StatusOr<bool> Exists(const FunctionName& name) override;
  absl::StatusOr<std::optional<Function>> GetVersion(const FunctionName& name,
                                                     std::int64_t version) override;
  absl::StatusOr<std::vector<std::int64_t>> Versions(const FunctionName& name) override;
  absl::StatusOr<FunctionPage> List(const ListQuery& query) override;
  absl::StatusOr<FunctionPage> ListVersions(const VersionQuery& query) override;
  absl::StatusOr<ChangePage> Changes(const ChangeQuery& query) override;
  absl::StatusOr<std::int64_t> Revision() override;
  absl::StatusOr<std::int64_t> ResumableFrom() override;
  absl::StatusOr<std::vector<std::string>> Holders(const FunctionName& name,
                                                   std::size_t count_max) override;
  absl::StatusOr<std::vector<Hold>> TagHolds(const FunctionName& name) override;
  absl::StatusOr<std::vector<Hold>> HoldsOf(const std::string& service) override;

  absl::StatusOr<std::vector<VersionName>> SplitsOver(const FunctionName& name) override;
  absl::StatusOr<std::set<SourceName>> SourcesInUse() override;

  absl::StatusOr<std::optional<Secret>> GetSecret(const SecretName& name) override;
  absl::StatusOr<std::pair<std::vector<Secret>, bool>> ListSecrets(
      const SecretQuery& query) override;
  absl::StatusOr<std::vector<SecretValue>> SecretValues(const SecretName& name) override;
  absl::StatusOr<std::vector<VersionName>> SecretUsers(const SecretName& name) override;
  absl::StatusOr<std::vector<SecretValue>> ValuesOfOtherKeys(const std::string& key_id,
                                                             std::size_t count_max) override;
  absl::StatusOr<SpaceMiddleware> GetSpaceMiddleware(const std::string& space) override;

  absl::Status Put(Function& function) override;
  absl::Status Save(Function& function) override;
  absl::Status SetState(const std::string& uid, std::int64_t version, FunctionState state,
                        const std::string& reason) override;
  absl::Status RemoveVersions(const Function& function,
                              const std::vector<std::int64_t>& versions) override;
  absl::StatusOr<std::int64_t> Remove(const FunctionName& name) override;
  absl::Status AddHold(const Hold& hold) override;
  absl::Status RemoveHold(const Hold& hold) override;
  absl::Status PutSecret(const Secret& secret) override;
  absl::Status PutSecretValue(const SecretValue& value) override;
  absl::Status RemoveSecretValue(const SecretName& name, const std::string& key) override;
  absl::Status RemoveSecret(const SecretName& name) override;
  absl::StatusOr<std::int64_t> Touch(const FunctionName& name) override;
  absl::StatusOr<std::int64_t> PutSpaceMiddleware(const SpaceMiddleware& middleware) override;

  absl::StatusOr<std::int64_t> CountFunctions();
  // Sets the counters of a new store, and leaves those of another as they are.
  absl::Status InitCounters(std::int64_t revision);

  // What this session's writes led to: the last revision (0: none) and functions more or less.
  std::int64_t last_revision() const { return last_revision_; }
  std::int64_t count_change() const { return count_change_; }

 private:
  absl::StatusOr<std::vector<std::int64_t>> VersionsOf(const std::string& uid);
  // The values of all secrets that kept versions of a function name.
  absl::StatusOr<std::vector<SecretValue>> SecretsOf(const Function& function);
  absl::StatusOr<std::int64_t> Counter(std::string_view key);
  absl::StatusOr<std::int64_t> NextRevision();
  // Forgets the deletions before the kept ones; `sequence` is that of the newest.
  absl::Status ForgetDeletions(std::int64_t sequence);

  sqlite::Connection& connection_;
  const std::int64_t deletions_kept_;
  std::int64_t last_revision_ = 0;
  std::int64_t count_change_ = 0;
};

}  // namespace penstock::functions
