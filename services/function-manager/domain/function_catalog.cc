#include "services/function-manager/domain/function_catalog.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "libs/base/ids.h"
#include "libs/base/names.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/check_spec.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/errors.h"
#include "services/function-manager/domain/page.h"
#include "services/function-manager/domain/secret_catalog.h"
#include "services/function-manager/domain/versions.h"
#include "services/function-manager/domain/weighted.h"

namespace penstock::functions {
namespace {

constexpr std::size_t kMetadataFiltersMax = 64;

absl::Status CheckFunctionEtag(const Function& current, const std::string& etag) {
  return CheckEtag(fmt::format("Function \"{}\"", current.name.ToString()), current.Etag(), etag);
}

absl::Status CheckNotHeld(FunctionReader& reader, const FunctionName& name) {
  ASSIGN_OR_RETURN(auto holders, reader.Holders(name, kHoldersNamedMax + 1));
  ASSIGN_OR_RETURN(const auto splits, SplitsHolding(reader, name));
  holders.insert(holders.end(), splits.begin(), splits.end());
  if (holders.empty()) return absl::OkStatus();
  const std::string named = HoldersText(holders);
  const bool is_one = holders.size() == 1;
  return WithReason(
      absl::FailedPreconditionError(fmt::format(
          "Function \"{}\" is in use by {}: delete {} or point {} at another function first",
          name.ToString(), named, is_one ? "it" : "them", is_one ? "it" : "them")),
      kReasonFunctionInUse, {{"function", name.ToString()}, {"holders", named}});
}

// What has to be looked into before `spec` replaces `before`, null for none.
std::optional<ProcessDriver> NewArchive(const FunctionSpec& spec, const FunctionSpec* before) {
  const auto* driver = std::get_if<ProcessDriver>(&spec.driver);
  if (driver == nullptr || !HasArchive(*driver)) return std::nullopt;
  const auto* known = before == nullptr ? nullptr : std::get_if<ProcessDriver>(&before->driver);
  if (known != nullptr && UseSourceAlike(*known, *driver)) return std::nullopt;
  return *driver;
}

// Describes a list for its page tokens: two lists that differ have different texts.
std::string QueryText(const ListQuery& query) {
  std::string text = fmt::format("functions {} {}:{}", query.space, query.creator.has_value(),
                                 query.creator.value_or(""));
  for (const auto& [key, value] : query.metadata) {
    text += fmt::format(" {}:{}={}:{}", key.size(), key, value.size(), value);
  }
  return text;
}

}  // namespace

// What an update will do: `function` is stored unless `is_unchanged`.
struct FunctionCatalog::Plan {
  Function function;
  bool is_unchanged = false;
  std::optional<ProcessDriver> archive;  // To be looked into first.
};

FunctionCatalog::FunctionCatalog(FunctionStore& store, const Clock& clock, const SpaceRule& spaces,
                                 std::size_t versions_kept, const SourceChecks* sources,
                                 const ProgramChecks* programs)
    : store_(store),
      clock_(clock),
      spaces_(spaces),
      versions_kept_(versions_kept),
      sources_(sources),
      programs_(programs) {}

void FunctionCatalog::CompileThen(const std::string& steps, Done<Mutation> done,
                                  std::function<void(Done<Mutation>)> next) {
  if (programs_ == nullptr) return next(std::move(done));
  programs_->Check("function.middleware", steps,
                   [done = std::move(done), next = std::move(next)](const absl::Status& status) {
                     if (!status.ok()) return done(status);
                     next(done);
                   });
}

void FunctionCatalog::LookIntoThen(const FunctionName& name,
                                   const std::optional<ProcessDriver>& archive, Done<Mutation> done,
                                   std::function<void(Done<Mutation>)> next) {
  if (sources_ == nullptr || !archive) return next(std::move(done));
  sources_->CheckArchive(
      name.space, *archive,
      [done = std::move(done), next = std::move(next)](const absl::Status& status) {
        if (!status.ok()) return done(status);
        next(done);
      });
}

absl::StatusOr<Function> FunctionCatalog::PlanCreate(FunctionReader& reader,
                                                     const FunctionName& name,
                                                     const FunctionSpec& spec,
                                                     const std::string& principal) const {
  ASSIGN_OR_RETURN(const bool exists, reader.Exists(name));
  if (exists) {
    return WithReason(
        absl::AlreadyExistsError(fmt::format("Function \"{}\" already exists", name.ToString())),
        kReasonFunctionExists, {{"function", name.ToString()}});
  }
  RETURN_IF_ERROR(CheckSecretsExist(reader, name, spec));
  // A sweep of sources is a job of the store too: between this and the end of the job that stores
  // the function no source goes.
  if (sources_ != nullptr) RETURN_IF_ERROR(sources_->CheckExists(name.space, spec));
  RETURN_IF_ERROR(CheckWeightedTargets(reader, name, spec));
  Function function;
  function.name = name;
  function.create_time = clock_.Wall();
  function.update_time = function.create_time;
  function.creator = principal;
  function.spec = spec;
  function.state = StateOfNew(spec);
  return function;
}

void FunctionCatalog::Create(CreateCommand command, Done<Mutation> done) {
  auto checked = [&]() -> absl::StatusOr<FunctionName> {
    ASSIGN_OR_RETURN(std::string space, spaces_.ParseParent("parent", command.parent));
    RETURN_IF_ERROR(CheckResourceId("function_id", command.function_id));
    FillDefaults(command.input.spec);
    RETURN_IF_ERROR(CheckSpec(command.input.spec));
    return FunctionName{std::move(space), command.function_id};
  }();
  if (!checked.ok()) return done(checked.status());
  const std::string steps = command.input.spec.middleware;
  CompileThen(
      steps, std::move(done),
      [this, name = *std::move(checked), command = std::move(command)](Done<Mutation> then) {
        LookIntoThen(name, NewArchive(command.input.spec, nullptr), std::move(then),
                     [this, name, command](Done<Mutation> last) {
                       CreateChecked(name, command, std::move(last));
                     });
      });
}

void FunctionCatalog::CreateChecked(const FunctionName& name, const CreateCommand& command,
                                    Done<Mutation> done) {
  auto result = std::make_shared<Mutation>();
  const bool is_validate_only = command.is_validate_only;
  auto plan = [this, result, name, command](FunctionReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(result->function,
                     PlanCreate(reader, name, command.input.spec, command.principal));
    return absl::OkStatus();
  };
  if (is_validate_only) return store_.Read(std::move(plan), DeliverResult(result, std::move(done)));
  store_.Write(
      [result, plan = std::move(plan)](FunctionWriter& writer) -> absl::Status {
        RETURN_IF_ERROR(plan(writer));
        result->function.uid = NewUuid();
        RETURN_IF_ERROR(writer.Put(result->function));
        result->revision = result->function.revision;
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void FunctionCatalog::Get(const std::string& name, Done<Function> done) {
  auto parsed = spaces_.ParseTagged("name", name);
  if (!parsed.ok()) return done(parsed.status());
  auto result = std::make_shared<Function>();
  store_.Read(
      [result, name = FunctionName{parsed->name.space, parsed->name.id},
       tag = parsed->tag](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(auto found, reader.Get(name));
        if (!found) return FunctionNotFound(name);
        if (!tag.empty()) {
          ASSIGN_OR_RETURN(const std::int64_t version, ResolveTag(reader, *found, tag));
          ASSIGN_OR_RETURN(found, reader.GetVersion(name, version));
          if (!found) return absl::DataLossError("an alias names a version that is not stored");
        }
        *result = *std::move(found);
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void FunctionCatalog::List(ListCommand command, Done<ListResult> done) {
  auto query = [&]() -> absl::StatusOr<ListQuery> {
    ListQuery made;
    ASSIGN_OR_RETURN(made.space, spaces_.ParseParent("parent", command.parent));
    ASSIGN_OR_RETURN(made.limits.count_max, CheckPageSize(command.page_size));
    if (command.metadata.size() > kMetadataFiltersMax) {
      return FieldError("metadata", fmt::format("has {} entries: expected at most {}",
                                                command.metadata.size(), kMetadataFiltersMax));
    }
    made.metadata = std::move(command.metadata);
    if (!command.creator.empty()) {
      made.creator = command.creator == "me" ? command.principal : command.creator;
    }
    ASSIGN_OR_RETURN(made.after_id, ParsePageToken(QueryText(made), command.page_token));
    return made;
  }();
  if (!query.ok()) return done(query.status());
  auto result = std::make_shared<ListResult>();
  store_.Read(
      [result, query = *std::move(query)](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(FunctionPage page, reader.List(query));
        result->functions = std::move(page.functions);
        if (page.has_more) {
          result->next_page_token =
              MakePageToken(QueryText(query), result->functions.back().name.id);
        }
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

absl::StatusOr<FunctionCatalog::Plan> FunctionCatalog::PlanUpdate(
    FunctionReader& reader, const FunctionName& name, const UpdateCommand& command) const {
  ASSIGN_OR_RETURN(std::optional<Function> found, reader.Get(name));
  Plan plan;
  if (!found) {
    // An etag says that the caller saw a function, which is gone: creating another would hide that.
    if (!command.allow_missing || !command.etag.empty()) return FunctionNotFound(name);
    FunctionSpec spec = command.input.spec;
    FillDefaults(spec);
    RETURN_IF_ERROR(CheckSpec(spec));
    ASSIGN_OR_RETURN(plan.function, PlanCreate(reader, name, spec, command.principal));
    plan.archive = NewArchive(spec, nullptr);
    return plan;
  }
  plan.function = *std::move(found);
  RETURN_IF_ERROR(CheckFunctionEtag(plan.function, command.etag));
  ASSIGN_OR_RETURN(const SpecFields fields, FieldsToChange(command.mask, command.input));
  FunctionSpec changed = Merge(plan.function.spec, command.input, fields);
  FillDefaults(changed);
  RETURN_IF_ERROR(CheckSpec(changed));
  if (changed == plan.function.spec) {
    plan.is_unchanged = true;
    return plan;
  }
  RETURN_IF_ERROR(CheckSecretsExist(reader, name, changed));
  if (sources_ != nullptr) RETURN_IF_ERROR(sources_->CheckExists(name.space, changed));
  plan.archive = NewArchive(changed, &plan.function.spec);
  RETURN_IF_ERROR(CheckWeightedTargets(reader, name, changed));
  plan.function.spec = std::move(changed);
  plan.function.state = StateOfNew(plan.function.spec);
  plan.function.state_reason.clear();
  ++plan.function.version;
  ++plan.function.generation;
  plan.function.update_time = clock_.Wall();
  return plan;
}

void FunctionCatalog::Update(UpdateCommand command, Done<Mutation> done) {
  auto name = spaces_.ParseFunction("function.name", command.name);
  if (!name.ok()) return done(name.status());
  if (auto fields = FieldsToChange(command.mask, command.input); !fields.ok()) {
    return done(fields.status());
  }
  const std::string steps = command.input.spec.middleware;
  CompileThen(steps, std::move(done),
              [this, name = *std::move(name), command = std::move(command)](Done<Mutation> then) {
                UpdateCompiled(name, command, std::move(then));
              });
}

void FunctionCatalog::UpdateCompiled(const FunctionName& name, const UpdateCommand& command,
                                     Done<Mutation> done) {
  const auto* given = std::get_if<ProcessDriver>(&command.input.spec.driver);
  if (sources_ == nullptr || given == nullptr) return UpdateChecked(name, command, {}, done);
  auto archive = std::make_shared<std::optional<ProcessDriver>>();
  store_.Read(
      [this, archive, name, command](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(Plan plan, PlanUpdate(reader, name, command));
        *archive = std::move(plan.archive);
        return absl::OkStatus();
      },
      [this, archive, name, command, done = std::move(done)](const absl::Status& planned) {
        if (!planned.ok()) return done(planned);
        LookIntoThen(name, *archive, done, [this, archive, name, command](Done<Mutation> then) {
          UpdateChecked(name, command, *archive, std::move(then));
        });
      });
}

void FunctionCatalog::UpdateChecked(const FunctionName& name, const UpdateCommand& command,
                                    const std::optional<ProcessDriver>& looked_into,
                                    Done<Mutation> done) {
  auto result = std::make_shared<Mutation>();
  if (command.is_validate_only) {
    return store_.Read(
        [this, result, name, command](FunctionReader& reader) -> absl::Status {
          ASSIGN_OR_RETURN(Plan plan, PlanUpdate(reader, name, command));
          result->function = std::move(plan.function);
          return absl::OkStatus();
        },
        DeliverResult(result, std::move(done)));
  }
  store_.Write(
      [this, result, name, command, looked_into](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(Plan plan, PlanUpdate(writer, name, command));
        if (sources_ != nullptr && plan.archive &&
            !(looked_into && UseSourceAlike(*plan.archive, *looked_into))) {
          return absl::AbortedError(
              fmt::format("Function \"{}\" has changed meanwhile: try again", name.ToString()));
        }
        if (plan.function.uid.empty()) plan.function.uid = NewUuid();
        if (!plan.is_unchanged) {
          RETURN_IF_ERROR(writer.Put(plan.function));
          RETURN_IF_ERROR(ForgetVersions(writer, plan.function, versions_kept_));
        }
        result->function = std::move(plan.function);
        result->revision = result->function.revision;
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void FunctionCatalog::Delete(DeleteCommand command, Done<Mutation> done) {
  auto name = spaces_.ParseFunction("name", command.name);
  if (!name.ok()) return done(name.status());
  auto result = std::make_shared<Mutation>();
  store_.Write(
      [result, name = *std::move(name),
       command = std::move(command)](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(const std::optional<Function> found, writer.Get(name));
        if (!found) return command.allow_missing ? absl::OkStatus() : FunctionNotFound(name);
        RETURN_IF_ERROR(CheckFunctionEtag(*found, command.etag));
        RETURN_IF_ERROR(CheckNotHeld(writer, name));
        ASSIGN_OR_RETURN(result->revision, writer.Remove(name));
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void FunctionCatalog::ListVersions(ListVersionsCommand command, Done<ListResult> done) {
  auto query = [&]() -> absl::StatusOr<VersionQuery> {
    VersionQuery made;
    ASSIGN_OR_RETURN(made.name, spaces_.ParseFunction("parent", command.parent));
    ASSIGN_OR_RETURN(made.limits.count_max, CheckPageSize(command.page_size));
    ASSIGN_OR_RETURN(const std::string last,
                     ParsePageToken(made.name.ToString(), command.page_token));
    std::from_chars(last.data(), last.data() + last.size(), made.before_version);
    return made;
  }();
  if (!query.ok()) return done(query.status());
  auto result = std::make_shared<ListResult>();
  store_.Read(
      [result, query = *std::move(query)](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(const bool exists, reader.Exists(query.name));
        if (!exists) return FunctionNotFound(query.name);
        ASSIGN_OR_RETURN(FunctionPage page, reader.ListVersions(query));
        result->functions = std::move(page.functions);
        if (page.has_more) {
          result->next_page_token = MakePageToken(
              query.name.ToString(), fmt::format("{}", result->functions.back().version));
        }
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

}  // namespace penstock::functions
