// The rules for which version of a function runs: its traffic and its aliases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/function-manager/domain/function.h"
#include "services/function-manager/domain/function_catalog.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {

struct TrafficCommand {
  std::string name;
  std::string etag;
  std::vector<TrafficTarget> targets;  // Empty: all to the newest version.
};

struct RollbackCommand {
  std::string name;
  std::string etag;
  std::int64_t version = 0;  // 0: the one before the newest that gets calls.
};

struct AliasCommand {
  std::string name;  // "spaces/{space}/functions/{function}/aliases/{alias}".
  std::string etag;
  std::int64_t version = 0;  // Not for a deletion.
};

struct ListAliasesCommand {
  std::string parent;
  std::int32_t page_size = 0;
  std::string page_token;
};

// One alias, as an answer has it.
struct NamedAlias {
  std::string name;  // As in AliasCommand.
  std::int64_t version = 0;
  std::string etag;
  std::int64_t revision = 0;  // The manager's that it was set with; 0 when nothing was changed.
};

struct AliasPage {
  std::vector<NamedAlias> aliases;
  std::string next_page_token;
};

// As FunctionCatalog: checks requests and runs them on the store, never blocks, calls back once,
// thread-safe; what it is given must outlive it and its calls.
class TrafficCatalog {
 public:
  template <typename Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  static constexpr std::size_t kTargetsMax = 64;
  static constexpr std::size_t kAliasesMax = 64;

  TrafficCatalog(FunctionStore& store, const SpaceRule& spaces,
                 std::size_t versions_kept = FunctionCatalog::kVersionsKeptDefault);

  // Replaces the split. INVALID_ARGUMENT naming the target that is wrong.
  void SetTraffic(TrafficCommand command, Done<Mutation> done);
  // Gives all calls to an earlier version. FAILED_PRECONDITION when there is none.
  void Rollback(RollbackCommand command, Done<Mutation> done);

  // Creates or moves an alias.
  void SetAlias(AliasCommand command, Done<NamedAlias> done);
  // FAILED_PRECONDITION while something holds it. Gives the revision of the deletion.
  void DeleteAlias(const AliasCommand& command, Done<std::int64_t> done);
  void ListAliases(const ListAliasesCommand& command, Done<AliasPage> done);

 private:
  struct AliasName;

  absl::StatusOr<AliasName> ParseAlias(std::string_view field, const std::string& name) const;
  // Stores `function` after a change of what stands beside its versions.
  absl::Status Save(FunctionWriter& writer, Function& function) const;

  FunctionStore& store_;
  const SpaceRule& spaces_;
  const std::size_t versions_kept_;
};

}  // namespace penstock::functions
