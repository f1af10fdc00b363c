#include "services/function-manager/domain/space_middleware.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "libs/base/ids.h"
#include "libs/base/status.h"
#include "services/function-manager/domain/check_middleware.h"
#include "services/function-manager/domain/deliver.h"
#include "services/function-manager/domain/program_checks.h"
#include "services/function-manager/domain/space_rule.h"
#include "services/function-manager/domain/text.h"
#include "services/function-manager/domain/versions.h"
#include "services/function-manager/ports/function_store.h"

namespace penstock::functions {
namespace {

constexpr std::string_view kNameEnd = "/middleware";

}  // namespace

std::string SpaceMiddleware::Name() const { return fmt::format("spaces/{}{}", space, kNameEnd); }

std::string SpaceMiddleware::Etag() const {
  return Sha256Hex(fmt::format("{}:{}", Name(), generation)).substr(0, 16);
}

SpaceMiddlewareCatalog::SpaceMiddlewareCatalog(FunctionStore& store, const Clock& clock,
                                               const SpaceRule& spaces,
                                               const ProgramChecks* programs)
    : store_(store), clock_(clock), spaces_(spaces), programs_(programs) {}

absl::StatusOr<std::string> SpaceMiddlewareCatalog::ParseName(std::string_view field,
                                                              std::string_view name) const {
  if (!name.ends_with(kNameEnd)) {
    return FieldError(field, fmt::format("{} is not a name: expected \"spaces/{{space}}{}\"",
                                         Quoted(name), kNameEnd));
  }
  return spaces_.ParseParent(field, name.substr(0, name.size() - kNameEnd.size()));
}

void SpaceMiddlewareCatalog::Get(const std::string& name, Done<SpaceMiddleware> done) {
  auto space = ParseName("name", name);
  if (!space.ok()) return done(space.status());
  auto result = std::make_shared<SpaceMiddleware>();
  store_.Read(
      [result, space = *std::move(space)](FunctionReader& reader) -> absl::Status {
        ASSIGN_OR_RETURN(*result, reader.GetSpaceMiddleware(space));
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

void SpaceMiddlewareCatalog::Update(const std::string& name, const std::string& etag,
                                    std::string steps, Done<SpaceMiddlewareMutation> done) {
  auto space = ParseName("space_middleware.name", name);
  if (!space.ok()) return done(space.status());
  std::vector<FieldViolation> violations;
  CheckMiddleware("middleware", steps, violations);
  if (auto checked = UnderField("space_middleware", FieldErrors(violations)); !checked.ok()) {
    return done(checked);
  }
  if (programs_ == nullptr) return UpdateChecked(*space, etag, steps, std::move(done));
  programs_->Check("space_middleware.middleware", steps,
                   [this, space = *std::move(space), etag, steps,
                    done = std::move(done)](const absl::Status& status) {
                     if (!status.ok()) return done(status);
                     UpdateChecked(space, etag, steps, done);
                   });
}

void SpaceMiddlewareCatalog::UpdateChecked(const std::string& space, const std::string& etag,
                                           const std::string& steps,
                                           Done<SpaceMiddlewareMutation> done) {
  auto result = std::make_shared<SpaceMiddlewareMutation>();
  store_.Write(
      [this, result, space, etag, steps](FunctionWriter& writer) -> absl::Status {
        ASSIGN_OR_RETURN(SpaceMiddleware middleware, writer.GetSpaceMiddleware(space));
        RETURN_IF_ERROR(CheckEtag(fmt::format("The middleware of space \"{}\"", space),
                                  middleware.Etag(), etag));
        if (middleware.steps != steps) {
          middleware.steps = steps;
          ++middleware.generation;
          middleware.update_time = clock_.Wall();
          ASSIGN_OR_RETURN(result->revision, writer.PutSpaceMiddleware(middleware));
        }
        result->middleware = std::move(middleware);
        return absl::OkStatus();
      },
      DeliverResult(result, std::move(done)));
}

}  // namespace penstock::functions
