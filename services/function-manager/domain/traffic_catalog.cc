#include "services/function-manager/domain/traffic_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/page.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"

namespace penstock::functions {
namespace {

constexpr std::string_view kAliasesPart = "/aliases/";
constexpr int kWhole = 100;

// What can be said of a split without knowing the function.
absl::Status CheckTargets(const std::vector<TrafficTarget>& targets) {
  if (targets.empty()) return absl::OkStatus();
  if (targets.size() > TrafficCatalog::kTargetsMax) {
    return FieldError("targets", fmt::format("has {} versions: expected at most {}", targets.size(),
                                             TrafficCatalog::kTargetsMax));
  }
  std::vector<FieldViolation> violations;
  std::set<std::int64_t> seen;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& [version, percent] = targets[i];
    if (percent < 1 || percent > kWhole) {
      violations.push_back({fmt::format("targets[{}].percent", i),
                            fmt::format("is {}: expected 1 to {}", percent, kWhole)});
    }
    if (!seen.insert(version).second) {
      violations.push_back({fmt::format("targets[{}].version", i),
                            fmt::format("is {}, which is there twice", version)});
    }
    sum += percent;
  }
  if (violations.empty() && sum != kWhole) {
    violations.push_back(
        {"targets", fmt::format("add up to {} percent: expected {}", sum, kWhole)});
  }
  return FieldErrors(violations);
}

// A field error for a version that is not kept; it says which are.
absl::Status UnknownVersion(FunctionReader& reader, const Function& function,
                            std::string_view field, std::int64_t version) {
  return FieldError(field, std::string(VersionNotFound(reader, function, version).message()));
}

absl::StatusOr<Function> Find(FunctionReader& reader, const FunctionName& name) {
  ASSIGN_OR_RETURN(std::optional<Function> found, reader.Get(name));
  if (!found) return FunctionNotFound(name);
  return *std::move(found);
}

absl::Status CheckFunctionEtag(const Function& function, const std::string& etag) {
  return CheckEtag(fmt::format("Function \"{}\"", function.name.ToString()), function.Etag(), etag);
}

// The version that is kept before the newest that gets calls; 0 when there is none.
std::int64_t VersionBefore(const Function& function, const std::vector<std::int64_t>& kept) {
  std::int64_t newest = 0;
  for (const TrafficTarget& target : function.traffic) newest = std::max(newest, target.version);
  if (newest == 0) newest = function.version;
  const auto at = std::lower_bound(kept.begin(), kept.end(), newest);
  return at == kept.begin() ? 0 : *std::prev(at);
}

}  // namespace

// An alias of a function, taken apart.
struct TrafficCatalog::AliasName {
  FunctionName function;
  std::string alias;

  std::string ToString() const {
    return fmt::format("{}{}{}", function.ToString(), kAliasesPart, alias);
  }
  absl::Status NotFound() const {
    return WithReason(absl::NotFoundError(fmt::format("Alias \"{}\" not found", ToString())),
                      kReasonAliasNotFound, {{"function", function.ToString()}, {"alias", alias}});
  }
};

TrafficCatalog::TrafficCatalog(FunctionStore& store, const SpaceRule& spaces,
                               std::size_t versions_kept)
    : store_(store), spaces_(spaces), versions_kept_(versions_kept) {}

absl::Status TrafficCatalog::Save(FunctionWriter& writer, Function& function) const {
  ++function.generation;
  RETURN_IF_ERROR(writer.Save(function));
  return ForgetVersions(writer, function, versions_kept_);
}

void TrafficCatalog::SetTraffic(TrafficCommand command, Done<Mutation> done) {
  auto name = spaces_.ParseFunction("name", command.name);
  if (!name.ok()) return done(name.status());
  if (auto checked = CheckTargets(command.targets); !checked.ok()) return done(checked);
  auto result = std::make_shared<Mutation>();
  store_.Write(
      [this, result, name = *std::move(name),
       command = std::move(command)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Function function, Find(writer, name));
        RETURN_IF_ERROR(CheckFunctionEtag(function, command.etag));
        ASSIGN_OR_RETURN(const auto kept, writer.Versions(name));
        for (std::size_t i = 0; i < command.targets.size(); ++i) {
          const std::int64_t version = command.targets[i].version;
          if (std::binary_search(kept.begin(), kept.end(), version)) continue;
          return UnknownVersion(writer, function, fmt::format("targets[{}].version", i), version);
        }
        if (function.traffic != command.targets) {
          function.traffic = command.targets;
          RETURN_IF_ERROR(Save(writer, function));
        }
        result->revision = function.revision;
        result->function = std::move(function);
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void TrafficCatalog::Rollback(RollbackCommand command, Done<Mutation> done) {
  auto name = spaces_.ParseFunction("name", command.name);
  if (!name.ok()) return done(name.status());
  if (command.version < 0) {
    return done(FieldError(
        "version", fmt::format("is {}: expected 0 (the one before) or more", command.version)));
  }
  auto result = std::make_shared<Mutation>();
  store_.Write(
      [this, result, name = *std::move(name),
       command = std::move(command)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Function function, Find(writer, name));
        RETURN_IF_ERROR(CheckFunctionEtag(function, command.etag));
        ASSIGN_OR_RETURN(const auto kept, writer.Versions(name));
        std::int64_t version = command.version;
        if (version == 0) version = VersionBefore(function, kept);
        if (version == 0) {
          return absl::FailedPreconditionError(
              fmt::format("Function \"{}\" has no earlier version to go back to", name.ToString()));
        }
        if (!std::binary_search(kept.begin(), kept.end(), version)) {
          return UnknownVersion(writer, function, "version", version);
        }
        const std::vector<TrafficTarget> targets{{version, kWhole}};
        if (function.traffic != targets) {
          function.traffic = targets;
          RETURN_IF_ERROR(Save(writer, function));
        }
        result->revision = function.revision;
        result->function = std::move(function);
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

absl::StatusOr<TrafficCatalog::AliasName> TrafficCatalog::ParseAlias(
    std::string_view field, const std::string& name) const {
  const std::size_t at = name.rfind(kAliasesPart);
  if (at == std::string::npos) {
    return FieldError(field, fmt::format("{} is not a name: expected "
                                         "\"spaces/{{space}}/functions/{{id}}/aliases/{{id}}\"",
                                         Quoted(name)));
  }
  AliasName parsed;
  ASSIGN_OR_RETURN(parsed.function, spaces_.ParseFunction(field, name.substr(0, at)));
  parsed.alias = name.substr(at + kAliasesPart.size());
  RETURN_IF_ERROR(CheckResourceId(field, parsed.alias));
  const bool is_number = std::all_of(parsed.alias.begin(), parsed.alias.end(),
                                     [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    return FieldError(field, fmt::format("{} would be taken for a version: expected an alias with "
                                         "a letter",
                                         Quoted(parsed.alias)));
  }
  return parsed;
}

void TrafficCatalog::SetAlias(AliasCommand command, Done<NamedAlias> done) {
  auto name = ParseAlias("alias.name", command.name);
  if (!name.ok()) return done(name.status());
  auto result = std::make_shared<NamedAlias>();
  store_.Write(
      [this, result, name = *std::move(name),
       command = std::move(command)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Function function, Find(writer, name.function));
        const bool exists = function.aliases.contains(name.alias);
        // An etag says that the caller saw an alias, which is gone.
        if (!exists && !command.etag.empty()) return name.NotFound();
        RETURN_IF_ERROR(CheckEtag(fmt::format("Alias \"{}\"", name.ToString()),
                                  function.AliasEtag(name.alias), command.etag));
        ASSIGN_OR_RETURN(const auto kept, writer.Versions(name.function));
        if (!std::binary_search(kept.begin(), kept.end(), command.version)) {
          return UnknownVersion(writer, function, "alias.version", command.version);
        }
        if (!exists && function.aliases.size() >= kAliasesMax) {
          return FieldError("alias.name", fmt::format("is one more than the {} that a function "
                                                      "may have",
                                                      kAliasesMax));
        }
        Alias& alias = function.aliases[name.alias];
        if (alias.version != command.version) {
          alias = {command.version, function.generation + 1};
          RETURN_IF_ERROR(Save(writer, function));
        }
        *result = {name.ToString(), command.version, function.AliasEtag(name.alias),
                   function.revision};
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void TrafficCatalog::DeleteAlias(const AliasCommand& command, Done<std::int64_t> done) {
  auto name = ParseAlias("name", command.name);
  if (!name.ok()) return done(name.status());
  auto result = std::make_shared<std::int64_t>(0);
  store_.Write(
      [this, result, name = *std::move(name),
       etag = command.etag](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Function function, Find(writer, name.function));
        if (!function.aliases.contains(name.alias)) return name.NotFound();
        RETURN_IF_ERROR(CheckEtag(fmt::format("Alias \"{}\"", name.ToString()),
                                  function.AliasEtag(name.alias), etag));
        ASSIGN_OR_RETURN(const std::vector<Hold> holds, writer.TagHolds(name.function));
        std::vector<std::string> holders;
        for (const Hold& hold : holds) {
          if (hold.tag == name.alias) holders.push_back(hold.holder);
        }
        if (!holders.empty()) {
          return WithReason(absl::FailedPreconditionError(fmt::format(
                                "Alias \"{}\" is in use by {}: point that elsewhere first",
                                name.ToString(), HoldersText(holders))),
                            kReasonAliasInUse, {{"alias", name.ToString()}});
        }
        function.aliases.erase(name.alias);
        RETURN_IF_ERROR(Save(writer, function));
        *result = function.revision;
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void TrafficCatalog::ListAliases(const ListAliasesCommand& command, Done<AliasPage> done) {
  auto name = spaces_.ParseFunction("parent", command.parent);
  if (!name.ok()) return done(name.status());
  const std::string query = fmt::format("aliases {}", name->ToString());
  const auto size = CheckPageSize(command.page_size);
  if (!size.ok()) return done(size.status());
  auto after = ParsePageToken(query, command.page_token);
  if (!after.ok()) return done(after.status());
  auto result = std::make_shared<AliasPage>();
  store_.Read(
      [result, query, name = *std::move(name), size = *size,
       after = *std::move(after)](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(const Function function, Find(reader, name));
        for (auto at = function.aliases.upper_bound(after); at != function.aliases.end(); ++at) {
          if (result->aliases.size() == size) {
            result->next_page_token = MakePageToken(query, std::prev(at)->first);
            break;
          }
          result->aliases.push_back({AliasName{name, at->first}.ToString(), at->second.version,
                                     function.AliasEtag(at->first)});
        }
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

}  // namespace penstock::functions
