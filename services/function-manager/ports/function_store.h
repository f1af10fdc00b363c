// Where functions, their versions, and the holds on them are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/secret.h"
#include "services/function-manager/domain/space_middleware.h"
#include "services/function-manager/ports/source_store.h"

namespace penstock::functions {

// How much a page may hold. At least one entry is given, however large it is.
struct PageLimits {
  std::size_t count_max = 50;
  std::size_t bytes_max = std::size_t{4} << 20;
};

struct FunctionPage {
  std::vector<Function> functions;
  bool has_more = false;
};

// Functions of one space by id.
struct ListQuery {
  std::string space;
  std::string after_id;                         // Exclusive; empty starts at the first.
  std::map<std::string, std::string> metadata;  // All must be there.
  std::optional<std::string> creator;
  PageLimits limits;
};

// Versions of one function, newest first.
struct VersionQuery {
  FunctionName name;
  std::int64_t before_version = 0;  // Exclusive; 0 starts at the newest.
  PageLimits limits;
};

struct SecretQuery {
  std::string space;
  std::string after_id;  // Exclusive; empty starts at the first.
  std::size_t count_max = 50;
};

// A version of a function.
struct VersionName {
  FunctionName function;
  std::int64_t version = 0;

  friend bool operator==(const VersionName&, const VersionName&) = default;
};

// The latest change of one function, or a version of it that is kept beside the newest. When
// `is_deleted`, only name, uid, version and revision of `function` are set.
struct Change {
  bool is_deleted = false;
  Function function;                   // A version when it is one: Function::is_version.
  std::vector<std::int64_t> kept{};    // Of a function: its versions, rising.
  std::vector<SecretValue> secrets{};  // Of the secrets that these name, as far as they exist.
  std::string space_middleware{};      // Of a function: the steps of its space.

  friend bool operator==(const Change&, const Change&) = default;
};

// Latest changes by revision. A change that a later one of the same function replaced is not there
// any more. A version that is no longer the newest comes at the revision at which it was made,
// before the change of its function.
struct ChangeQuery {
  std::int64_t after = 0;  // Exclusive.
  std::int64_t deletions_after =
      0;  // Deletions up to this revision are left out; at least `after`.
  PageLimits limits;
};

struct ChangePage {
  std::vector<Change> changes;
  std::int64_t revision = 0;  // Everything up to here has been given.
  bool has_more = false;
};

// What reads see: one consistent state. Valid only inside a job, on the job's thread.
class FunctionReader {
 public:
  virtual ~FunctionReader() = default;

  virtual absl::StatusOr<std::optional<Function>> Get(const FunctionName& name) = 0;
  virtual absl::StatusOr<bool> Exists(const FunctionName& name) = 0;
  virtual absl::StatusOr<std::optional<Function>> GetVersion(const FunctionName& name,
                                                             std::int64_t version) = 0;
  // The versions that are kept, rising. Empty when the function does not exist.
  virtual absl::StatusOr<std::vector<std::int64_t>> Versions(const FunctionName& name) = 0;
  virtual absl::StatusOr<FunctionPage> List(const ListQuery& query) = 0;
  // Empty when the function does not exist.
  virtual absl::StatusOr<FunctionPage> ListVersions(const VersionQuery& query) = 0;
  // Each kept version that is weighted and names the function, by function and version.
  virtual absl::StatusOr<std::vector<VersionName>> SplitsOver(const FunctionName& name) = 0;
  virtual absl::StatusOr<ChangePage> Changes(const ChangeQuery& query) = 0;
  // The revision of the last change. A new store starts at the microseconds since the epoch, so
  // that a revision of a store that was lost is not taken for one of this.
  virtual absl::StatusOr<std::int64_t> Revision() = 0;
  // The oldest revision that Changes can continue from; older deletions are forgotten.
  virtual absl::StatusOr<std::int64_t> ResumableFrom() = 0;
  // At most `count_max` holders of a function, by name.
  virtual absl::StatusOr<std::vector<std::string>> Holders(const FunctionName& name,
                                                           std::size_t count_max) = 0;
  // All holds that name a version or alias of a function.
  virtual absl::StatusOr<std::vector<Hold>> TagHolds(const FunctionName& name) = 0;
  virtual absl::StatusOr<std::vector<Hold>> HoldsOf(const std::string& service) = 0;

  // The sources that kept versions name.
  virtual absl::StatusOr<std::set<SourceName>> SourcesInUse() = 0;

  virtual absl::StatusOr<std::optional<Secret>> GetSecret(const SecretName& name) = 0;
  // By id, and whether there are more.
  virtual absl::StatusOr<std::pair<std::vector<Secret>, bool>> ListSecrets(
      const SecretQuery& query) = 0;
  virtual absl::StatusOr<std::vector<SecretValue>> SecretValues(const SecretName& name) = 0;
  // Each kept version that names the secret, by function and version.
  virtual absl::StatusOr<std::vector<VersionName>> SecretUsers(const SecretName& name) = 0;
  // At most `count_max` values that another key than `key_id` encrypts.
  virtual absl::StatusOr<std::vector<SecretValue>> ValuesOfOtherKeys(const std::string& key_id,
                                                                     std::size_t count_max) = 0;

  // One without steps where none were set.
  virtual absl::StatusOr<SpaceMiddleware> GetSpaceMiddleware(const std::string& space) = 0;
};

// What writes do, in one transaction. Valid only inside a job, on the job's thread.
class FunctionWriter : public FunctionReader {
 public:
  // Stores `function` as the current one of its name and under its version, and sets its `revision`
  // to the next one. A version that is stored never changes: storing it again is ALREADY_EXISTS.
  virtual absl::Status Put(Function& function) = 0;
  // Stores traffic, aliases and generation of a function that exists, without a new version, and
  // sets its `revision` to the next one.
  virtual absl::Status Save(Function& function) = 0;
  // Changes the state of a version, and nothing else: gives no revision. A version that is not
  // stored is left so.
  virtual absl::Status SetState(const std::string& uid, std::int64_t version, FunctionState state,
                                const std::string& reason) = 0;
  // Removes versions, of which none may be the newest. Part of a change: gives no revision.
  virtual absl::Status RemoveVersions(const Function& function,
                                      const std::vector<std::int64_t>& versions) = 0;
  // Removes the function with its versions and gives the revision of that; NOT_FOUND when there is
  // none.
  virtual absl::StatusOr<std::int64_t> Remove(const FunctionName& name) = 0;
  // Adding what is there and removing what is not are no errors. The function need not exist.
  virtual absl::Status AddHold(const Hold& hold) = 0;
  virtual absl::Status RemoveHold(const Hold& hold) = 0;

  // Stores all of a secret but its values.
  virtual absl::Status PutSecret(const Secret& secret) = 0;
  // Stores or replaces one value of a secret that exists.
  virtual absl::Status PutSecretValue(const SecretValue& value) = 0;
  virtual absl::Status RemoveSecretValue(const SecretName& name, const std::string& key) = 0;
  // Removes a secret with its values.
  virtual absl::Status RemoveSecret(const SecretName& name) = 0;
  // Gives a function, which is as it was, the next revision: what it names has changed.
  virtual absl::StatusOr<std::int64_t> Touch(const FunctionName& name) = 0;

  // Stores the steps of a space and touches each of its functions. Gives the last revision of that,
  // or 0 when there is no function.
  virtual absl::StatusOr<std::int64_t> PutSpaceMiddleware(const SpaceMiddleware& middleware) = 0;
};

// The store. Thread-safe. Read and Write never block; a job runs once, on a thread that may block,
// and then its `done` exactly once: on the same thread, or, when too much waits
// (RESOURCE_EXHAUSTED) or the store is stopped (UNAVAILABLE), on the caller's before the call
// returns, and then the job does not run. `done` must not block.
class FunctionStore {
 public:
  using ReadJob = std::function<absl::Status(FunctionReader&)>;
  using WriteJob = std::function<absl::Status(FunctionWriter&)>;
  using Done = std::function<void(absl::Status)>;
  using Listener = std::function<void(std::int64_t revision)>;

  virtual ~FunctionStore() = default;

  // Sees everything whose `done` was called before.
  virtual void Read(ReadJob job, Done done) = 0;

  // Runs `job` alone: jobs do not overlap, and one that returns an error changes nothing. `done` is
  // called after everything is durable, in the order of the jobs.
  virtual void Write(WriteJob job, Done done) = 0;

  // Called after each commit that gave revisions, with the highest, in rising order, before the
  // `done` of its job. It must not block. Set once, before the first write; cleared by Stop().
  virtual void SetListener(Listener listener) = 0;

  // How many functions there are.
  virtual std::int64_t Count() const = 0;

  // Refuses new jobs, finishes the queued ones, closes. Blocks. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace penstock::functions
