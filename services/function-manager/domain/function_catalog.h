// The rules for creating, reading, changing and deleting functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/time.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/program_checks.h"
#include "services/function-manager/domain/source_checks.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/domain/update.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

// Requests, as a face of the service read them; every check is the catalog's.
struct CreateCommand {
  std::string parent;
  std::string function_id;
  SpecInput input;
  std::string principal;  // Empty without authentication.
  bool is_validate_only = false;
};

struct UpdateCommand {
  std::string name;
  std::string etag;
  SpecInput input;
  std::vector<std::string> mask;
  std::string principal;
  bool is_validate_only = false;
  bool allow_missing = false;
};

struct DeleteCommand {
  std::string name;
  std::string etag;
  bool allow_missing = false;
};

struct ListCommand {
  std::string parent;
  std::int32_t page_size = 0;
  std::string page_token;
  std::map<std::string, std::string> metadata;
  std::string creator;    // "me" is the caller; empty is everyone.
  std::string principal;  // The caller.
};

struct ListVersionsCommand {
  std::string parent;
  std::int32_t page_size = 0;
  std::string page_token;
};

// What a change led to. `revision` is 0 when nothing was changed.
struct Mutation {
  Function function;
  std::int64_t revision = 0;
};

struct ListResult {
  std::vector<Function> functions;
  std::string next_page_token;
};

// Checks requests and runs them on the store. Never blocks; each callback is called exactly once,
// on a thread of the store or of the checks, or before the call returns. Thread-safe.
// `store`, `clock` and `spaces` must outlive it and the calls that run.
class FunctionCatalog {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  static constexpr std::size_t kVersionsKeptDefault = 20;

  // Of the versions that nothing needs, the last `versions_kept` are kept. Without `sources` those
  // that functions name are not looked for; without `programs` those of middleware are not
  // compiled. Both must outlive it too.
  FunctionCatalog(FunctionStore& store, const Clock& clock, const SpaceRule& spaces,
                  std::size_t versions_kept = kVersionsKeptDefault,
                  const SourceChecks* sources = nullptr, const ProgramChecks* programs = nullptr);

  // ALREADY_EXISTS when the id is taken.
  void Create(CreateCommand command, Done<Mutation> done);
  // With a tag in the name: the version that it stands for.
  void Get(const std::string& name, Done<Function> done);
  void List(ListCommand command, Done<ListResult> done);
  // A change that leaves everything as it is makes no version.
  void Update(UpdateCommand command, Done<Mutation> done);
  // FAILED_PRECONDITION while something holds the function. The result's function is empty.
  void Delete(DeleteCommand command, Done<Mutation> done);
  void ListVersions(ListVersionsCommand command, Done<ListResult> done);

 private:
  struct Plan;

  // Runs `next` when the programs of `steps` compile, else ends with why not.
  void CompileThen(const std::string& steps, Done<Mutation> done,
                   std::function<void(Done<Mutation>)> next);
  // The same when an executor can use `archive`; at once without one.
  void LookIntoThen(const FunctionName& name, const std::optional<ProcessDriver>& archive,
                    Done<Mutation> done, std::function<void(Done<Mutation>)> next);
  void CreateChecked(const FunctionName& name, const CreateCommand& command, Done<Mutation> done);
  // Looks into the archive that the change would make the function's, and goes on.
  void UpdateCompiled(const FunctionName& name, const UpdateCommand& command, Done<Mutation> done);
  // `looked_into` is the driver whose archive was.
  void UpdateChecked(const FunctionName& name, const UpdateCommand& command,
                     const std::optional<ProcessDriver>& looked_into, Done<Mutation> done);
  // The function that a creation would store, after all checks against `reader`.
  absl::StatusOr<Function> PlanCreate(FunctionReader& reader, const FunctionName& name,
                                      const FunctionSpec& spec, const std::string& principal) const;
  absl::StatusOr<Plan> PlanUpdate(FunctionReader& reader, const FunctionName& name,
                                  const UpdateCommand& command) const;

  FunctionStore& store_;
  const Clock& clock_;
  const SpaceRule& spaces_;
  const std::size_t versions_kept_;
  const SourceChecks* const sources_;
  const ProgramChecks* const programs_;
};

}  // namespace penstock::functions
